"""The pictures of one page: under its tokens, as the model sees it, and where the answer looked."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ...vlm.explaining import Explanation, SeenPage
from .drawing import draw_grid, draw_heat, fit

BOX = (440, 560)  # the most a picture of a page may take, in pixels


@dataclass(frozen=True)
class Panel:
    """A picture with what it shows in a few words."""

    title: str
    picture: Image.Image


def page_panels(seen: SeenPage, most: float, *, box: tuple[int, int] = BOX) -> list[Panel]:
    """What is shown of one page.

    Args:
        most: the attention of the token that got most, of all pages; so pages compare.
        box: the most a picture may take, in pixels.
    """
    page = seen.page.image
    size = fit(page.size, box)
    shown = page.resize(size, Image.Resampling.LANCZOS)
    height, width = seen.info.resized_size
    as_seen = page.resize((width, height), Image.Resampling.BICUBIC)
    as_seen = as_seen.resize(size, Image.Resampling.NEAREST)
    cut = "tiles and tokens" if seen.tiles != (1, 1) else "tokens"
    panels = [
        Panel(f"cut into {cut}", draw_grid(shown, seen.token_grid, seen.tiles)),
        Panel(f"as the model gets it, {width} x {height} px", draw_grid(as_seen, (1, 1))),
    ]
    if seen.looked is not None:
        heat = draw_heat(shown, seen.looked.tolist(), most)
        panels.append(Panel("where the answer looked", heat))
    return panels


def page_title(seen: SeenPage) -> str:
    """Which page, without the folder it lies in."""
    name = Path(seen.page.source).name
    number = seen.page.number
    return name if number is None else f"{name}, page {number} of {seen.page.of}"


def page_facts(seen: SeenPage) -> str:
    """Its sizes and what it costs, in one sentence."""
    height, width = seen.info.original_size
    rows, cols = seen.token_grid
    text = f"{width} x {height} px: {rows} rows of {cols} tokens"
    if seen.tiles != (1, 1):
        down, across = seen.tiles
        text += f" in {down} x {across} tiles"
    if seen.thumbnail_tokens:
        text += f", and {seen.thumbnail_tokens} of a thumbnail of the whole"
    text += f"; {seen.info.visual_tokens} visual tokens"
    before = seen.info.visual_tokens_before
    if before > seen.info.visual_tokens:
        text += f" of {before}, reduced by {1 - seen.info.visual_tokens / before:.0%} to fit"
    if seen.info.scale < 1:
        text += f" (shrunk to {seen.info.scale:.0%} of its size)"
    return text + "."


def page_share(seen: SeenPage) -> float:
    """The part of the answer's attention to all that was seen that went to this page."""
    return 0.0 if seen.looked is None else float(seen.looked.sum())


def strongest(explanation: Explanation) -> float:
    """The most attention that one token got."""
    maps = [seen.looked for seen in (*explanation.pages, *explanation.videos)]
    return max((float(each.max()) for each in maps if each is not None), default=0.0)


def heading(explanation: Explanation) -> list[str]:
    """What was asked and answered, and what all pages and videos cost together."""
    pages, videos, answer = explanation.pages, explanation.videos, explanation.answer
    costs = [(seen.info.visual_tokens, seen.info.visual_tokens_before) for seen in pages]
    costs += [(sum(seen.info.kept_per_tubelet), seen.info.visual_tokens) for seen in videos]
    after, before = (sum(each) for each in zip(*costs, strict=True))
    why = "EVS, a budget or the context" if videos else "a budget or the context"
    reduced = f" of {before}: {why} left out the others" if after < before else ""
    if reduced and not videos:
        reduced = f" of {before}: {why} made pages smaller"
    num = " and ".join(_counted(pages, "page") + _counted(videos, "video"))
    lines = [f"{num}, {after} visual tokens{reduced}."]
    if answer is None:
        return lines
    lines.insert(0, f"Question: {explanation.question}")
    lines.insert(1, f"Answer: {answer.text}  (confidence {answer.confidence:.2f})")
    if len(pages) > 1:
        named = [page_title(pages[cited.index]) for cited in answer.pages]
        lines.append(
            f"Read from {' and '.join(named)}."
            if named
            else "No page stands out clearly enough to be cited."
        )
    return lines


def _counted(things: Sequence[object], name: str) -> list[str]:
    return [f"{len(things)} {name}{'' if len(things) == 1 else 's'}"] if things else []
