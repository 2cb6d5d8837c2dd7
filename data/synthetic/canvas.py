"""A picture under construction that remembers where each character went."""

import numpy as np

from .glyphs import GlyphSet, PlacedText

Colour = tuple[int, int, int]


def blend(region: np.ndarray, alpha: np.ndarray, colour: Colour) -> None:
    """Paints `colour` over uint8 `(h, w, 3)` in place by coverage `(h, w)`, in whole numbers."""
    cover = alpha.astype(np.uint16)[:, :, None]
    mixed = region * (255 - cover)
    mixed += cover * np.array(colour, dtype=np.uint16)
    mixed += 128
    mixed += mixed >> 8  # with the next shift: rounded division by 255, exact for 16 bits
    mixed >>= 8
    region[...] = mixed


class Canvas:
    """A uint8 picture and the characters drawn on it so far."""

    def __init__(self, height: int, width: int, background: Colour = (255, 255, 255)):
        self.image = np.empty((height, width, 3), dtype=np.uint8)
        self.image[...] = background
        self._codes: list[int] = []
        self._centers: list[tuple[float, float]] = []
        self._boxes: list[tuple[int, int, int, int]] = []

    def draw(
        self,
        placed: PlacedText,
        glyphs: GlyphSet,
        x: int,
        baseline: int,
        colour: Colour = (0, 0, 0),
    ) -> None:
        """Draws a placed run with its pen starting at `(x, baseline)`; it must fit the picture."""
        left, top = placed.left, placed.top
        height, width = placed.bottom - top, placed.right - left
        if not placed.glyphs:
            return
        y0, x0 = baseline + top, x + left
        full_height, full_width = self.image.shape[:2]
        assert y0 >= 0 and x0 >= 0, "text starts outside the picture"
        assert y0 + height <= full_height and x0 + width <= full_width, "text leaves the picture"
        strip = np.zeros((height, width), dtype=np.uint8)
        middle = baseline - glyphs.x_height / 2
        for char, pen, glyph in placed.glyphs:
            g_left, g_right = pen + glyph.left, pen + glyph.right
            window = strip[glyph.top - top : glyph.bottom - top, g_left - left : g_right - left]
            np.maximum(window, glyph.alpha, out=window)
            self._codes.append(ord(char))
            self._centers.append((x + (g_left + g_right) / 2, middle))
            self._boxes.append(
                (x + g_left, baseline + glyph.top, x + g_right, baseline + glyph.bottom)
            )
        blend(self.image[y0 : y0 + height, x0 : x0 + width], strip, colour)

    def fill(self, left: int, top: int, right: int, bottom: int, colour: Colour) -> None:
        """Fills a rectangle, cut to the picture; right and bottom are exclusive."""
        self.image[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = colour

    def characters(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Codes int32 `(n,)`, centres float32 `(n, 2)`, boxes float32 `(n, 4)`."""
        count = len(self._codes)
        return (
            np.array(self._codes, dtype=np.int32),
            np.array(self._centers, dtype=np.float32).reshape(count, 2),
            np.array(self._boxes, dtype=np.float32).reshape(count, 4),
        )
