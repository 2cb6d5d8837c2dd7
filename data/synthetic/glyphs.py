"""Glyph bitmaps, rendered once and kept: drawing a line is then pasting small arrays.

Positions are whole numbers throughout (advances in 1/2048 em, pens in quarter pixels), so a line
is the same on every machine. No kerning.
"""

import random
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .fonts import get_font
from .text import CHARSET

_UNITS = 2048  # advances are measured at this size, where rounding to a pixel costs nothing
PHASES = 4  # sub-pixel positions of a glyph


class Glyph(NamedTuple):
    """Coverage of one character: `alpha` uint8 `(h, w)`, placed at pen + left, baseline + top."""

    alpha: np.ndarray
    left: int
    top: int
    right: int
    bottom: int


class PlacedText(NamedTuple):
    """One run of text laid out from pen 0 on baseline 0.

    `glyphs` holds (character, x of the pen in pixels, glyph); the four edges bound the ink.
    """

    glyphs: list[tuple[str, int, Glyph]]
    advance: int
    left: int
    top: int
    right: int
    bottom: int


@lru_cache(maxsize=64)
def _advances(font_name: str) -> dict[str, int]:
    font = ImageFont.truetype(
        str(get_font(font_name).path), _UNITS, layout_engine=ImageFont.Layout.BASIC
    )
    return {char: round(font.getlength(char)) for char in CHARSET}


@lru_cache(maxsize=64)
def x_height_units(font_name: str) -> int:
    """Height of the letter x, in 1/2048 em."""
    font = ImageFont.truetype(
        str(get_font(font_name).path), _UNITS, layout_engine=ImageFont.Layout.BASIC
    )
    return -int(font.getbbox("x", anchor="ls")[1])


class LetterShape(NamedTuple):
    """A change of a font's letters.

    Attributes:
        stretch: width, in percent.
        slant: lean, in percent of the height.
        weight: over 100, how strongly strokes spread to the pixel on their right; under 100, how
            much of their ink is left; in percent.
    """

    stretch: int = 100
    slant: int = 0
    weight: int = 100


UPRIGHT = LetterShape()


class GlyphSet:
    """The glyphs of one font at one size, rendered as they are first needed."""

    def __init__(self, font_name: str, size: int, shape: LetterShape):
        self.font_name = font_name
        self.size = size
        self._shape = shape
        self._font = ImageFont.truetype(
            str(get_font(font_name).path), size, layout_engine=ImageFont.Layout.BASIC
        )
        self._advances = _advances(font_name)
        if shape.stretch != 100:
            self._advances = {c: a * shape.stretch // 100 for c, a in self._advances.items()}
        self._cache: dict[tuple[str, int], Glyph | None] = {}
        self.x_height = x_height_units(font_name) * size / _UNITS
        # Extents over the whole character set, for line spacing that does not depend on the text.
        probe = self.place("Égjpqy|()[]{}QÅ")
        self.ascent = -probe.top
        self.descent = probe.bottom

    def _render(self, char: str, phase: int) -> Glyph | None:
        pad = self.size
        picture = Image.new("L", (4 * pad, 4 * pad))
        ImageDraw.Draw(picture).text(
            (pad + phase / PHASES, 2 * pad), char, font=self._font, fill=255, anchor="ls"
        )
        if (self._shape.stretch, self._shape.slant) != (100, 0):
            # Pillow wants the way back; the pen and the baseline stay where they are.
            wide, lean = 100 / self._shape.stretch, self._shape.slant / 100
            back = (wide, lean * wide, pad - wide * pad - lean * wide * 2 * pad, 0, 1, 0)
            picture = picture.transform(
                picture.size, Image.Transform.AFFINE, back, Image.Resampling.BILINEAR
            )
        box = picture.getbbox()
        if box is None:
            return None
        left, top, right, bottom = box
        weight = self._shape.weight
        right += weight > 100
        alpha = np.array(picture.crop((left, top, right, bottom)))
        if weight < 100:
            alpha = (alpha.astype(np.uint16) * weight // 100).astype(np.uint8)
        elif weight > 100:
            spread = (alpha[:, :-1].astype(np.uint16) * (weight - 100) // 100).astype(np.uint8)
            np.maximum(alpha[:, 1:], spread, out=alpha[:, 1:])
        return Glyph(alpha, left - pad, top - 2 * pad, right - pad, bottom - 2 * pad)

    def width(self, text: str, tracking: int = 0) -> int:
        """Pixels the pen moves over `text`; `tracking` is extra space in quarter pixels."""
        units = sum(self._advances[char] for char in text)
        quarters = (units * self.size * PHASES + _UNITS // 2) // _UNITS + tracking * len(text)
        return -(-quarters // PHASES)

    def place(self, text: str, tracking: int = 0) -> PlacedText:
        """Lays `text` out from pen 0 on baseline 0.

        Args:
            text: characters of `CHARSET`.
            tracking: extra space after each character, in quarter pixels.
        """
        cache, advances = self._cache, self._advances
        scale, half = self.size * PHASES, _UNITS // 2
        units = extra = 0
        placed: list[tuple[str, int, Glyph]] = []
        left = top = 1 << 30
        right = bottom = -(1 << 30)
        for char in text:
            quarters = (units * scale + half) // _UNITS + extra
            pen, phase = quarters >> 2, quarters & 3
            try:
                glyph = cache[char, phase]
            except KeyError:
                glyph = cache[char, phase] = self._render(char, phase)
            if glyph is not None:
                placed.append((char, pen, glyph))
                _, g_left, g_top, g_right, g_bottom = glyph
                if pen + g_left < left:
                    left = pen + g_left
                if pen + g_right > right:
                    right = pen + g_right
                if g_top < top:
                    top = g_top
                if g_bottom > bottom:
                    bottom = g_bottom
            units += advances[char]
            extra += tracking
        quarters = (units * scale + half) // _UNITS + extra
        advance = -(-quarters // PHASES)
        if not placed:
            left = top = right = bottom = 0
        return PlacedText(placed, advance, left, top, right, bottom)


@lru_cache(maxsize=4096)
def glyph_set(font_name: str, size: int, shape: LetterShape = UPRIGHT) -> GlyphSet:
    """The glyphs of a font at a size in pixels per em, shared by all callers of the process."""
    return GlyphSet(font_name, size, shape)


def draw_shape(rng: random.Random) -> LetterShape:
    """A shape such as other fonts have."""
    return LetterShape(
        stretch=rng.choice((82, 91, 100, 109, 118)),
        slant=rng.choice((0, 0, 0, 12)),
        weight=rng.choice((75, 100, 100, 140)),
    )
