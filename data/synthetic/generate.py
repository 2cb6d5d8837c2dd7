"""The one entry: a seed and a configuration in, a document out. Start reading here."""

import random
from collections.abc import Callable

from .config import GeneratorConfig
from .document import Document
from .noise import add_noise
from .readings import draw_glyphs, draw_line

_LEVELS: dict[str, Callable[[random.Random, GeneratorConfig], Document]] = {
    "glyphs": draw_glyphs,
    "line": draw_line,
}


def generate(seed: int, config: GeneratorConfig) -> Document:
    """Draws one document.

    The same seed and configuration give the same document on every machine, and each call is
    independent of all others, so workers may draw any seeds in any order.

    Args:
        seed: any integer; training and held-out documents of one seed have nothing in common.
        config: what to draw.
    """
    # A string seed is hashed whole, so that neighbouring seeds are unrelated.
    rng = random.Random(f"latentvlm {config.split} {config.level} {seed}")
    document = _LEVELS[config.level](rng, config)
    return add_noise(document, rng, config.noise, config.side_multiple)
