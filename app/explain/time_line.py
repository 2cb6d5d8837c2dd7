"""A video's seconds from left to right: the chosen frames, tokens of each tubelet, scenes."""

import math

from PIL import Image, ImageDraw

from ...vlm.seen_videos import SeenVideo
from .drawing import BAR, FRAME, GHOST, PAPER, SOFT, TILE, type_of, write

HEIGHT = 132
_TOP, _AXIS, _SIDE = 6, 96, 10


def length_of(seen: SeenVideo) -> float:
    """Seconds that the line shows: of the whole video, at least up to the last chosen frame."""
    last = max(seen.report.timestamps, default=0.0)
    return max(seen.report.duration_s, last) or 1.0


def draw_time_line(seen: SeenVideo, width: int) -> Image.Image:
    """Bars of kept tokens before pale ones of all tokens, where each tubelet begins; below the
    axis a mark for every chosen frame; red lines where scenes begin."""
    line = Image.new("RGB", (width, HEIGHT), PAPER)
    pen = ImageDraw.Draw(line)
    length = length_of(seen)

    def place(seconds: float) -> int:
        return round(_SIDE + seconds / length * (width - 2 * _SIDE))

    times = seen.report.timestamps
    begins = [times[seen.frames_of(number)[0]] for number in range(seen.info.shape[0])]
    spots = [place(each) for each in begins]
    gaps = [b - a for a, b in zip(spots, spots[1:], strict=False)]
    wide = max(1, min([22, *[gap - 2 for gap in gaps if gap > 0]]))
    full = seen.info.tokens_per_tubelet
    for x, kept in zip(spots, seen.info.kept_per_tubelet, strict=True):
        for amount, colour in ((full, GHOST), (kept, BAR)):
            if amount:
                tall = max(1, round(amount / full * (_AXIS - _TOP)))
                pen.rectangle([x, _AXIS - tall, x + wide - 1, _AXIS - 1], fill=colour)
    for begin in seen.report.scenes:
        for y in range(_TOP, _AXIS, 8):
            pen.line([(place(begin), y), (place(begin), y + 4)], fill=TILE, width=2)
    pen.line([(_SIDE, _AXIS), (width - _SIDE, _AXIS)], fill=FRAME, width=2)
    for each in times:
        pen.line([(place(each), _AXIS + 2), (place(each), _AXIS + 9)], fill=BAR, width=2)
    for seconds in ticks(length):
        text = f"{seconds:g} s"
        wide_text = type_of(12).getlength(text)
        x = min(max(0, place(seconds) - wide_text / 2), width - wide_text)
        write(line, (round(x), _AXIS + 14), text, size=12, colour=SOFT)
    return line


def ticks(length: float, most: int = 10) -> list[float]:
    """Round numbers of seconds from 0 to `length`, at most `most` steps."""
    power = 10 ** math.floor(math.log10(length / most))
    step = next(each * power for each in (1, 2, 5, 10, 20) if length / (each * power) <= most)
    return [round(idx * step, 9) for idx in range(int(length / step + 1e-9) + 1)]
