"""Pictures that only teach to read: squares full of runs, and single lines."""

import random

from .canvas import Canvas
from .config import GeneratorConfig
from .document import QA, Document
from .fragments import fragment, full_line, single_line
from .glyphs import GlyphSet, draw_shape, glyph_set
from .palette import ink, paper
from .questions import phrase

_LONGEST_LINE = 40


def _glyphs(rng: random.Random, config: GeneratorConfig, font: str, size: int) -> GlyphSet:
    if config.reshaped and rng.random() < config.reshaped:
        return glyph_set(font, size, draw_shape(rng))
    return glyph_set(font, size)


def draw_glyphs(rng: random.Random, config: GeneratorConfig) -> Document:
    """A picture densely filled with rows of runs, each run with its own font, size and colour.

    All runs of a row share the middle of their x-heights, so that a row of characters falls into
    one row of patches.
    """
    step = config.side_multiple
    low, high = config.glyph_sides
    height = rng.randint(-(-low // step), high // step) * step
    width = config.draw_width(rng) or rng.randint(-(-low // step), high // step) * step
    canvas = Canvas(height, width, paper(rng))
    lines = []
    top = rng.randint(0, 8)
    while True:
        tallest = rng.randint(*config.font_sizes)
        runs, left, above, below = [], rng.randint(1, 12), 0, 0
        while True:
            size = min(tallest, rng.randint(*config.font_sizes))
            glyphs = _glyphs(rng, config, rng.choice(config.font_names), size)
            tracking = rng.choice((0, 0, 0, 1, 2, 4))
            text = fragment(rng, config.split)
            placed = glyphs.place(text, tracking)
            if left + max(placed.advance, placed.right) > width - 1:
                break
            drop = round(glyphs.x_height / 2)  # from the row's middle down to the baseline
            runs.append((text, placed, glyphs, left, drop))
            above = max(above, -placed.top - drop)
            below = max(below, placed.bottom + drop)
            left += max(placed.advance, placed.right) + rng.randint(3, 14)
        if top + above + below > height:
            break
        for _, placed, glyphs, start, drop in runs:
            canvas.draw(placed, glyphs, max(start, -placed.left), top + above + drop, ink(rng))
        if runs:
            lines.append(" ".join(text for text, *_ in runs))
        bottom = top + above + below
        if rng.random() < 0.1:  # a ruled line between rows: ink that is not text
            canvas.fill(0, bottom + 1, width, bottom + 2, ink(rng))
            bottom += 2
        top = bottom + rng.randint(1, 7)
    codes, centers, boxes = canvas.characters()
    return Document(
        image=canvas.image, lines=tuple(lines), char_codes=codes, char_centers=centers,
        char_boxes=boxes, qas=(), template="glyphs", font="mixed",
    )  # fmt: skip


def draw_line(rng: random.Random, config: GeneratorConfig) -> Document:
    """One line on a picture no taller than it needs; sides are multiples of `side_multiple`."""
    step = config.side_multiple
    font = rng.choice(config.font_names)
    size = rng.randint(*config.font_sizes)
    glyphs = _glyphs(rng, config, font, size)
    width = config.draw_width(rng)
    if width:
        text = full_line(
            rng, config.split, lambda text: glyphs.width(text) + 4 <= width,
            scrambled=config.scrambled,
        )  # fmt: skip
    else:
        text = single_line(rng, config.split, rng.randint(6, _LONGEST_LINE))
    tracking = rng.choice((0, 0, 0, 1, 2))
    placed = glyphs.place(text, tracking)
    if width and placed.right - placed.left + 2 > width:
        placed = glyphs.place(text)
    ink_height, ink_width = placed.bottom - placed.top, placed.right - placed.left
    height = -(-ink_height // step) * step
    # Slanted letters may reach further than their advance.
    width = max(width, -(-(ink_width if width else ink_width + 2) // step) * step)
    canvas = Canvas(height, width, paper(rng))
    x = rng.randint(0, width - ink_width) - placed.left
    baseline = rng.randint(0, height - ink_height) - placed.top
    canvas.draw(placed, glyphs, x, baseline, ink(rng))
    codes, centers, boxes = canvas.characters()
    question = QA("transcribe", phrase(rng, "transcribe", config.split), text)
    return Document(
        image=canvas.image, lines=(text,), char_codes=codes, char_centers=centers,
        char_boxes=boxes, qas=(question,), template="line", font=font, meta={"size": size},
    )  # fmt: skip
