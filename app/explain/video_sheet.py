"""One video of a picture that explains: its facts, its time line, and its tubelets in order."""

from PIL import Image

from ...vlm.seen_videos import SeenVideo
from .drawing import INK, PAPER, SOFT, TILE, wrap, write
from .time_line import HEIGHT, draw_time_line
from .video_panels import (
    GAP,
    tubelet_look,
    tubelet_picture,
    tubelet_title,
    video_facts,
    video_title,
)

MOST_TUBELETS = 24  # of a picture; a page of HTML shows all
LEGEND = (
    "Over each moment how many visual tokens stay, pale: how many there are; below the axis the "
    "chosen frames{scenes}. Grey in a frame: left out."
)


def legend(seen: SeenVideo) -> str:
    """What the time line and the frames show."""
    return LEGEND.format(scenes="; red: a scene begins" if seen.report.scenes else "")


def choose_tubelets(seen: SeenVideo) -> list[int]:
    """Those that a picture has room for, in order: looked at most, or evenly spread."""
    count = seen.info.shape[0]
    if count <= MOST_TUBELETS:
        return list(range(count))
    if seen.looked is None:
        step = (count - 1) / (MOST_TUBELETS - 1)
        return [round(idx * step) for idx in range(MOST_TUBELETS)]
    by_look = sorted(range(count), key=lambda number: -tubelet_look(seen, number))
    return sorted(by_look[:MOST_TUBELETS])


def draw_video(seen: SeenVideo, inner: int, most: float) -> Image.Image:
    """A video as a block of `inner` pixels width.

    Args:
        most: the attention of the token that got most of all that was seen.
    """
    chosen = choose_tubelets(seen)
    lines = [piece for line in video_facts(seen) for piece in wrap(line, inner, 14)]
    lines += wrap(legend(seen), inner, 14)
    if len(chosen) < seen.info.shape[0]:
        how = "evenly spread" if seen.looked is None else "those looked at most"
        lines.append(f"Shown are {len(chosen)} of {seen.info.shape[0]} moments, {how}.")
    cells = [_draw_cell(seen, number, most) for number in chosen]
    step = max(cell.width for cell in cells) + 3 * GAP
    columns = max(1, (inner + 3 * GAP) // step)
    rows = [cells[begin : begin + columns] for begin in range(0, len(cells), columns)]
    top = 38 + 20 * len(lines) + HEIGHT
    tall = [max(cell.height for cell in row) + 2 * GAP for row in rows]
    block = Image.new("RGB", (inner, top + sum(tall)), PAPER)
    write(block, (0, 0), wrap(video_title(seen), inner, 17, 1)[0], size=17, colour=INK)
    for idx, text in enumerate(lines):
        write(block, (0, 28 + 20 * idx), text, size=14, colour=SOFT)
    block.paste(draw_time_line(seen, inner), (0, 30 + 20 * len(lines)))
    y = top
    for row, height in zip(rows, tall, strict=True):
        for column, cell in enumerate(row):
            block.paste(cell, (column * step, y))
        y += height
    return block


def _draw_cell(seen: SeenVideo, number: int, most: float) -> Image.Image:
    """A tubelet's frames under their title."""
    picture = tubelet_picture(seen, number, most)
    lines = [(text, SOFT) for text in wrap(tubelet_title(seen, number), picture.width, 13, 2)]
    if seen.looked is not None:
        lines.append((f"attention {tubelet_look(seen, number):.1%}", TILE))
    top = 17 * len(lines) + 3
    cell = Image.new("RGB", (picture.width, top + picture.height), PAPER)
    for idx, (text, colour) in enumerate(lines):
        write(cell, (0, 17 * idx), text, size=13, colour=colour)
    cell.paste(picture, (0, top))
    return cell
