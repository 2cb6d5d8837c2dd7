"""Colours of paper and ink that keep text legible."""

import random

from .canvas import Colour

_INKS: tuple[Colour, ...] = (
    (0, 0, 0), (20, 20, 20), (40, 40, 40), (0, 0, 90), (10, 30, 110), (110, 10, 10), (0, 70, 30),
    (70, 20, 90), (60, 60, 60), (90, 50, 10), (0, 70, 90), (130, 20, 50),
)  # fmt: skip
_PAPERS: tuple[Colour, ...] = (
    (255, 255, 255), (255, 255, 255), (250, 250, 245), (255, 250, 235), (240, 245, 255),
    (240, 250, 240), (245, 240, 230), (255, 240, 240), (235, 235, 235), (255, 255, 224),
)  # fmt: skip
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)


def ink(rng: random.Random, coloured: float = 0.25) -> Colour:
    """Black, or with probability `coloured` another dark colour."""
    return rng.choice(_INKS) if rng.random() < coloured else BLACK


def paper(rng: random.Random, tinted: float = 0.2) -> Colour:
    """White, or with probability `tinted` another light colour."""
    return rng.choice(_PAPERS) if rng.random() < tinted else WHITE
