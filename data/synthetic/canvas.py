"""A picture under construction that remembers where each character went."""

import numpy as np

from .glyphs import GlyphSet, PlacedText

Colour = tuple[int, int, int]


def _row(colour: Colour, width: int) -> np.ndarray:
    """uint8 `(3 * width,)`: pixels of one colour side by side."""
    return np.tile(np.array(colour, dtype=np.uint8), width)


def blend(region: np.ndarray, alpha: np.ndarray, colour: Colour) -> None:
    """Paints `colour` over pixels in place by their coverage, in whole numbers.

    Args:
        region: uint8 `(h, 3 * w)`, the channels of a pixel side by side (numpy is several times
            slower on an innermost axis of three).
        alpha: uint8 `(h, w)`, 255 where the colour covers.
        colour: what to paint.
    """
    cover = np.repeat(alpha, 3, axis=1).astype(np.uint16)
    mixed = region * (255 - cover)
    if any(colour):
        mixed += cover * _row(colour, alpha.shape[1])
    mixed += 128
    mixed += mixed >> 8  # with the next shift: rounded division by 255, exact for 16 bits
    mixed >>= 8
    region[...] = mixed


class Canvas:
    """A uint8 picture and the characters drawn on it so far."""

    def __init__(self, height: int, width: int, background: Colour = (255, 255, 255)):
        self._flat = np.empty((height, 3 * width), dtype=np.uint8)
        self._flat[...] = _row(background, width)
        self.image = self._flat.reshape(height, width, 3)  # the same memory
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
        for char, pen, (alpha, g_left, g_top, g_right, g_bottom) in placed.glyphs:
            g_left, g_right = pen + g_left, pen + g_right
            window = strip[g_top - top : g_bottom - top, g_left - left : g_right - left]
            np.maximum(window, alpha, out=window)
            self._codes.append(ord(char))
            self._centers.append((x + (g_left + g_right) / 2, middle))
            self._boxes.append((x + g_left, baseline + g_top, x + g_right, baseline + g_bottom))
        blend(self._flat[y0 : y0 + height, 3 * x0 : 3 * (x0 + width)], strip, colour)

    def fill(self, left: int, top: int, right: int, bottom: int, colour: Colour) -> None:
        """Fills a rectangle, cut to the picture; right and bottom are exclusive."""
        top, bottom, left, right = max(0, top), max(0, bottom), max(0, left), max(0, right)
        self.image[top:bottom, left:right] = colour

    def characters(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Codes int32 `(n,)`, centres float32 `(n, 2)`, boxes float32 `(n, 4)`."""
        count = len(self._codes)
        return (
            np.array(self._codes, dtype=np.int32),
            np.array(self._centers, dtype=np.float32).reshape(count, 2),
            np.array(self._boxes, dtype=np.float32).reshape(count, 4),
        )
