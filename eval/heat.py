"""Attention as colour: what is laid over a picture to show where a model looked."""

from collections.abc import Sequence

from PIL import Image

Colour = tuple[int, int, int]
# From little to much attention; what got none is left as it is.
_HEAT = ((255, 226, 120), (252, 158, 56), (226, 62, 32), (150, 12, 44))
_LEAST = 0.04


def heat_colour(share: float) -> Colour:
    """The colour of a share from 0 to 1."""
    place = min(max(share, 0.0), 1.0) * (len(_HEAT) - 1)
    low = min(int(place), len(_HEAT) - 2)
    rest = place - low
    red, green, blue = (
        round(a + (b - a) * rest) for a, b in zip(_HEAT[low], _HEAT[low + 1], strict=True)
    )
    return red, green, blue


def heat_layer(values: Sequence[Sequence[float]], most: float) -> Image.Image:
    """RGBA, one pixel for each value; to be stretched over the picture.

    Args:
        most: the value that gets the strongest colour.
    """
    layer = Image.new("RGBA", (len(values[0]), len(values)), (0, 0, 0, 0))
    for row, cells in enumerate(values):
        for col, value in enumerate(cells):
            share = min(1.0, value / most) if most > 0 else 0.0
            if share >= _LEAST:
                layer.putpixel((col, row), (*heat_colour(share), round(70 + 120 * share)))
    return layer
