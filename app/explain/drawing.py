"""Drawing on pictures of pages: grids, tiles, heat, text. Knows no model."""

from collections.abc import Sequence
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from ...data.synthetic.fonts import get_font
from ...eval.heat import heat_colour, heat_layer

INK, SOFT, PAPER, FRAME = (28, 32, 38), (104, 112, 122), (255, 255, 255), (206, 211, 218)
GRID, TILE = (36, 108, 214), (214, 62, 36)
BAR, GHOST = (36, 108, 214), (222, 228, 238)
DROPPED = (150, 156, 166)  # what tokens that were left out are greyed with

Grid = Sequence[Sequence[float]]
Colour = tuple[int, int, int]


@cache
def type_of(size: int) -> ImageFont.FreeTypeFont:
    """The type of captions, `size` pixels an em."""
    return ImageFont.truetype(str(get_font("inter").path), size)


def write(
    canvas: Image.Image, at: tuple[int, int], text: str, *, size: int = 15, colour: Colour = INK
) -> None:
    """One line of text with its top left corner at `at`."""
    ImageDraw.Draw(canvas).text(at, text, font=type_of(size), fill=colour)


def wrap(text: str, width: int, size: int = 15, most: int = 3) -> list[str]:
    """Text in lines of at most `width` pixels; what is over `most` lines ends in an ellipsis."""
    font, lines, line = type_of(size), [], ""
    words = text.split()
    for idx, word in enumerate(words):
        longer = f"{line} {word}".strip()
        if not line or font.getlength(longer) <= width:
            line = longer
            continue
        lines.append(line)
        line = word
        if len(lines) == most:
            return [*lines[:-1], shorten(" ".join([lines[-1], *words[idx:]]), width, size)]
    return [shorten(each, width, size) for each in ([*lines, line] if line else lines)]


def shorten(text: str, width: int, size: int = 15) -> str:
    """Text that fits `width` pixels, with an ellipsis for what does not."""
    font = type_of(size)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"


def fit(size: tuple[int, int], box: tuple[int, int], largest: float = 4.0) -> tuple[int, int]:
    """Width and height that fill a box as far as the shape allows, at least one pixel each."""
    scale = min(box[0] / size[0], box[1] / size[1], largest)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def edges(count: int, length: int) -> list[int]:
    """Where `count` equal parts of `length` pixels begin and end."""
    return [round(idx * length / count) for idx in range(count + 1)]


def draw_grid(
    picture: Image.Image, grid: tuple[int, int], tiles: tuple[int, int] = (1, 1)
) -> Image.Image:
    """The picture under a grid of tokens and the borders of tiles; lines closer than 4 pixels
    are left out, as they would hide it."""
    layer = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    pen = ImageDraw.Draw(layer)
    width, height = picture.size
    for (rows, cols), colour, thick, alpha in (
        (grid, GRID, 1, 110),
        (tiles, TILE, 3, 230),
    ):
        if (rows, cols) == (1, 1):
            continue
        if width / cols >= 4:
            for x in edges(cols, width)[1:-1]:
                pen.line([(x, 0), (x, height)], fill=(*colour, alpha), width=thick)
        if height / rows >= 4:
            for y in edges(rows, height)[1:-1]:
                pen.line([(0, y), (width, y)], fill=(*colour, alpha), width=thick)
    pen.rectangle([0, 0, width - 1, height - 1], outline=(*FRAME, 255))
    return Image.alpha_composite(picture.convert("RGBA"), layer).convert("RGB")


def draw_heat(picture: Image.Image, values: Grid, most: float) -> Image.Image:
    """The picture paled, each cell of a grid coloured by its value.

    Args:
        most: the value that gets the strongest colour.
    """
    pale = Image.blend(picture.convert("RGB"), Image.new("RGB", picture.size, PAPER), 0.35)
    layer = heat_layer(values, most).resize(picture.size, Image.Resampling.NEAREST)
    heat = Image.alpha_composite(pale.convert("RGBA"), layer).convert("RGB")
    ImageDraw.Draw(heat).rectangle([0, 0, picture.width - 1, picture.height - 1], outline=FRAME)
    return heat


def heat_scale(width: int, height: int) -> Image.Image:
    """A strip from little to much."""
    strip = Image.new("RGB", (width, height))
    pen = ImageDraw.Draw(strip)
    for x in range(width):
        pen.line([(x, 0), (x, height)], fill=heat_colour(x / max(1, width - 1)))
    return strip


def draw_bars(
    size: tuple[int, int], values: Sequence[float], ghosts: Sequence[float], marks: Sequence[bool]
) -> Image.Image:
    """A bar for each value before a paler one behind it; marked ones in another colour."""
    chart = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(chart)
    width, height = size
    most = max([*values, *ghosts, 1e-9])
    lefts = edges(len(values), min(width, 56 * len(values)))
    for idx, (value, ghost) in enumerate(zip(values, ghosts, strict=True)):
        left, right = lefts[idx] + 1, max(lefts[idx] + 1, lefts[idx + 1] - 3)
        for amount, colour in ((ghost, GHOST), (value, TILE if marks[idx] else BAR)):
            top = height - max(1, round(amount / most * (height - 1)))
            pen.rectangle([left, top, right, height], fill=colour)
    return chart


def draw_kept(picture: Image.Image, kept: Sequence[Sequence[bool]]) -> Image.Image:
    """The picture with the cells of a grid that were not kept greyed out."""
    grey = picture.convert("L").convert("RGB")
    grey = Image.blend(grey, Image.new("RGB", picture.size, DROPPED), 0.62)
    mask = Image.new("L", picture.size, 0)
    pen = ImageDraw.Draw(mask)
    tops, lefts = edges(len(kept), picture.height), edges(len(kept[0]), picture.width)
    for row, cells in enumerate(kept):
        for col, stays in enumerate(cells):
            box = [lefts[col], tops[row], lefts[col + 1] - 1, tops[row + 1] - 1]
            if stays and box[2] >= box[0] and box[3] >= box[1]:
                pen.rectangle(box, fill=255)
    shown = Image.composite(picture.convert("RGB"), grey, mask)
    ImageDraw.Draw(shown).rectangle([0, 0, picture.width - 1, picture.height - 1], outline=FRAME)
    return shown
