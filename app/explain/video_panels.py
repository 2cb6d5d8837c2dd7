"""The pictures of one video: each tubelet's frames with what was dropped greyed out, and the heat
of where the answer looked."""

from pathlib import Path

from PIL import Image

from ...token_reduction.evs import EVSConfig
from ...vlm.seen_videos import SeenVideo
from .drawing import PAPER, draw_heat, draw_kept, fit

FRAME_BOX = (216, 216)  # the most one frame may take, in pixels
GAP = 8


def video_title(seen: SeenVideo) -> str:
    """Which video, without the folder it lies in."""
    return Path(seen.report.source).name


def video_facts(seen: SeenVideo) -> list[str]:
    """What was chosen of it, what that costs and what was left out: a sentence each."""
    report, info = seen.report, seen.info
    height, width = report.size
    how = "given as they are" if report.way == "given" else f"chosen ({report.way})"
    count = len(report.indices)
    chosen = f"{count} of {report.num_frames} frames {how}, {report.duration_s:.2f} s"
    if report.scenes:
        count = len(report.scenes)
        chosen += f", {count} scene{'' if count == 1 else 's'}"
    seen_height, seen_width = info.resized_size
    tubelets, rows, cols = info.shape
    together = seen.frames_per_tubelet
    each = "each frame" if together == 1 else f"every {together} frames"
    lines = [
        f"{chosen}. {width} x {height} px, seen at {seen_width} x {seen_height}: {each} "
        f"{rows} rows of {cols} tokens."
    ]
    before, after = info.visual_tokens, sum(info.kept_per_tubelet)
    if before == after:
        lines.append(f"All {before} visual tokens stay.")
    else:
        lines.append(
            f"{after} of {before} visual tokens stay, {1 - after / before:.0%} were dropped "
            f"({evs_text(seen.evs)})."
        )
    if info.encoded_patches is not None:
        share = info.encoded_patches / info.num_patches
        lines.append(f"{share:.0%} of the patches were encoded, for the others features were kept.")
    return lines


def evs_text(config: EVSConfig | None) -> str:
    """What was asked of EVS, in few words."""
    if config is None or config.is_off:
        return "EVS, to fit the token budget"
    said = [f"rate {config.rate:.0%}"] if config.rate else []
    if config.token_budget is not None:
        said.append(f"at most {config.token_budget} tokens")
    if config.threshold is not None:
        said.append(f"threshold {config.threshold:g}")
    if config.floor:
        said.append(f"floor {config.floor:.0%} of each")
    return "EVS: " + ", ".join(said)


def tubelet_title(seen: SeenVideo, number: int) -> str:
    """Its frames, counted from 1 as in the prompt, when they are shown, and how much stays."""
    places = seen.frames_of(number)
    times = " and ".join(f"{seen.report.timestamps[place]:.2f} s" for place in places)
    names = ", ".join(str(place + 1) for place in places)
    word = "frame" if len(places) == 1 else "frames"
    return f"{word} {names} at {times}: {tubelet_share(seen, number)}"


def tubelet_share(seen: SeenVideo, number: int) -> str:
    """How many of its tokens stay."""
    kept, full = seen.info.kept_per_tubelet[number], seen.info.tokens_per_tubelet
    return f"{kept} of {full} tokens"


def tubelet_look(seen: SeenVideo, number: int) -> float:
    """The part of the answer's attention that went to this tubelet."""
    return 0.0 if seen.looked is None else float(seen.looked[number].sum())


def tubelet_picture(seen: SeenVideo, number: int, most: float) -> Image.Image:
    """Its frames side by side, dropped tokens greyed out; below, with a question, the heat.

    Args:
        most: the attention of the token that got most of all that was seen.
    """
    mask = seen.info.kept_mask
    shown: list[list[Image.Image]] = [[], []]
    for place in seen.frames_of(number):
        picture = Image.fromarray(seen.frames[place])
        picture = picture.resize(fit(picture.size, FRAME_BOX), Image.Resampling.LANCZOS)
        kept = draw_kept(picture, [[True]] if mask is None else mask[number].tolist())
        shown[0].append(kept)
        if seen.looked is not None and seen.info.kept_per_tubelet[number]:
            shown[1].append(draw_heat(kept, seen.looked[number].tolist(), most))
    width, height = shown[0][0].size
    wide = cell_width(seen, width)
    rows = [row for row in shown if row]
    sheet = Image.new("RGB", (wide, len(rows) * (height + GAP) - GAP), PAPER)
    for down, row in enumerate(rows):
        for across, picture in enumerate(row):
            sheet.paste(picture, (across * (width + GAP), down * (height + GAP)))
    return sheet


def cell_width(seen: SeenVideo, frame_width: int) -> int:
    """Pixels that the frames of one tubelet take side by side."""
    return seen.frames_per_tubelet * (frame_width + GAP) - GAP
