"""Rows of text put on a page: what is where, then the smallest page that holds it.

A row has cells anchored to the left edge, the right edge or the middle of the text block. The
block is as wide as its widest row; margins are small and drawn at random.
"""

import random
from dataclasses import dataclass, field

from .canvas import Canvas, Colour
from .config import GeneratorConfig
from .glyphs import UPRIGHT, GlyphSet, LetterShape, PlacedText, draw_shape, glyph_set
from .palette import ink, paper

MARGIN = 9  # the most pixels between the text block and the edge of a page cut to its text
_CELL_GAP = 10  # least pixels between what is left-anchored and what is right-anchored


@dataclass(frozen=True)
class Cell:
    """A run of text: `offset` pixels in from the edge it is anchored to."""

    text: str
    placed: PlacedText
    glyphs: GlyphSet
    colour: Colour
    anchor: str = "left"
    offset: int = 0


@dataclass(frozen=True)
class Shape:
    """A filled rectangle from the block's left and the row's top; bottom None is the row's."""

    left: int
    top: int
    right: int
    bottom: int | None
    colour: Colour


@dataclass
class Row:
    """One printed line, or a strip of shapes without text."""

    cells: list[Cell] = field(default_factory=list)
    gap: int = 0
    height: int = 0
    rule_above: bool = False
    rule_below: bool = False
    box: bool = False
    leader: bool = False
    fill: Colour | None = None
    shapes: list[Shape] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join(cell.text for cell in self.cells)

    def needed_width(self) -> int:
        left = right = middle = 0
        for cell in self.cells:
            extent = cell.offset + max(cell.placed.advance, cell.placed.right)
            if cell.anchor == "left":
                left = max(left, extent)
            elif cell.anchor == "right":
                right = max(right, extent)
            else:
                middle = max(middle, extent)
        for shape in self.shapes:
            left = max(left, shape.right)
        return max(left + right + (_CELL_GAP if left and right else 0), middle)


@dataclass(frozen=True)
class Style:
    """The look that all rows of a document share."""

    font: str
    size: int
    title_font: str
    title_size: int
    tracking: int
    text_colour: Colour
    label_colour: Colour
    title_colour: Colour
    rule_colour: Colour
    background: Colour
    leading: int
    separator: str
    upper_labels: bool
    shape: LetterShape

    @property
    def glyphs(self) -> GlyphSet:
        return glyph_set(self.font, self.size, self.shape)

    def cell(self, text: str, anchor: str = "left", offset: int = 0, label: bool = False) -> Cell:
        """A cell in the body type."""
        glyphs = self.glyphs
        colour = self.label_colour if label else self.text_colour
        return Cell(text, glyphs.place(text, self.tracking), glyphs, colour, anchor, offset)

    def title(self, text: str, anchor: str = "left") -> Cell:
        """A cell in the type of titles."""
        glyphs = glyph_set(self.title_font, self.title_size, self.shape)
        return Cell(text, glyphs.place(text, 0), glyphs, self.title_colour, anchor, 0)

    def width(self, text: str) -> int:
        return self.glyphs.width(text, self.tracking)


def draw_style(look: random.Random, config: GeneratorConfig) -> Style:
    """Draws the look of a document."""
    low, high = config.font_sizes
    size = look.randint(low, high)
    if config.level == "page":  # long pages in the smaller sizes
        size = min(size, look.randint(low, high))
    font = look.choice(config.font_names)
    text_colour = ink(look, 0.2)
    return Style(
        font=font,
        size=size,
        title_font=look.choice(config.font_names) if look.random() < 0.3 else font,
        title_size=min(high, size + look.choice((0, 0, 1, 2, 4))),
        tracking=look.choice((0, 0, 0, 0, 1, 2)),
        text_colour=text_colour,
        label_colour=ink(look, 1.0) if look.random() < 0.2 else text_colour,
        title_colour=ink(look, 1.0) if look.random() < 0.3 else text_colour,
        rule_colour=look.choice(((0, 0, 0), (90, 90, 90), (160, 160, 160), text_colour)),
        background=paper(look, 0.25),
        leading=round(size * look.uniform(0.0, 0.35)),
        separator=look.choice((": ", ": ", ": ", " ", " - ", " = ", ":", " | ")),
        upper_labels=look.random() < 0.15,
        shape=draw_shape(look) if config.reshaped and look.random() < config.reshaped else UPRIGHT,
    )


def block_width(rows: list[Row]) -> int:
    """Pixels the widest row needs."""
    return max(row.needed_width() for row in rows)


def compose(
    rows: list[Row],
    style: Style,
    look: random.Random,
    config: GeneratorConfig,
    block: int | None = None,
    page_width: int = 0,
) -> tuple[Canvas, int]:
    """Draws the rows on a page just large enough, or as wide as asked.

    Args:
        rows: the rows, top to bottom.
        style: their look.
        look: random source of margins.
        config: the settings.
        block: width of the text block in pixels, at least what the rows need; None for that.
        page_width: of the page in pixels, at least the block and `MARGIN` on both sides; 0 for as
            wide as the text. A third of such pages leave the block as narrow as it may be.

    Returns:
        The drawn canvas, and the width of the block.
    """
    margins = [look.randint(2, MARGIN) for _ in range(4)]
    slack = (look.random(), look.random())
    aligned = look.random() < config.aligned_share
    if block is None:
        block = block_width(rows)
        if page_width and look.random() < 0.65:
            block = page_width - margins[0] - margins[1]
    tops, baselines, y = [], [], 0
    for row in rows:
        y += row.gap + (style.leading if tops else 0)
        ascent = max((cell.glyphs.ascent for cell in row.cells), default=0)
        descent = max((cell.glyphs.descent for cell in row.cells), default=0)
        tops.append(y)
        baselines.append(y + ascent)
        y += max(row.height, ascent + descent)
    bottoms = [*tops[1:], y]
    width = page_width or block + margins[0] + margins[1]
    height = y + margins[2] + margins[3]
    left, top = margins[0], margins[2]
    if page_width:
        left += round((width - block - margins[0] - margins[1]) * slack[0])
    if aligned:
        step = config.side_multiple
        spare_x, spare_y = 0 if page_width else -width % step, -height % step
        width, height = width + spare_x, height + spare_y
        left += round(spare_x * slack[0])
        top += round(spare_y * slack[1])
    canvas = Canvas(height, width, style.background)
    for row, row_top, row_baseline, row_bottom in zip(rows, tops, baselines, bottoms, strict=True):
        _draw_row(canvas, row, style, block, left, top + row_top, top + row_baseline,
                  top + max(row_bottom - style.leading // 2, row_top + 1))  # fmt: skip
    return canvas, block


def _draw_row(
    canvas: Canvas, row: Row, style: Style, block: int, left: int, top: int, baseline: int,
    bottom: int,
) -> None:  # fmt: skip
    rule, right = style.rule_colour, left + block
    if row.fill is not None:
        canvas.fill(left - 2, top, right + 2, bottom, row.fill)
    for shape in row.shapes:
        low = bottom if shape.bottom is None else top + shape.bottom
        canvas.fill(left + shape.left, top + shape.top, left + shape.right, low, shape.colour)
    if row.rule_above or row.box:
        canvas.fill(left - 2, top - 1, right + 2, top, rule)
    if row.rule_below or row.box:
        canvas.fill(left - 2, bottom - 1, right + 2, bottom, rule)
    if row.box:
        canvas.fill(left - 2, top - 1, left - 1, bottom, rule)
        canvas.fill(right + 1, top - 1, right + 2, bottom, rule)
    ends = []
    for cell in row.cells:
        extent = max(cell.placed.advance, cell.placed.right)
        if cell.anchor == "left":
            x = left + cell.offset
        elif cell.anchor == "right":
            x = right - cell.offset - extent
        else:
            x = left + (block - extent) // 2
        x = max(x, -cell.placed.left)  # an italic letter may lean out of its pen's start
        canvas.draw(cell.placed, cell.glyphs, x, baseline, cell.colour)
        ends.append((x, x + extent))
    if row.leader and len(ends) == 2:
        for x in range(ends[0][1] + 4, ends[1][0] - 4, 4):
            canvas.fill(x, baseline - 1, x + 1, baseline, rule)
