"""The entries: a seed and a configuration in, a document out. Start reading here."""

from dataclasses import replace

import numpy as np

from ...errors import ConfigError
from .config import VIDEO_LEVEL, GeneratorConfig
from .document import QA, Document
from .noise import add_noise
from .readings import draw_glyphs, draw_line
from .writer import rewrite, source, write


def generate(seed: int, config: GeneratorConfig) -> Document:
    """Draws one document.

    The same seed and configuration give the same document on every machine, and each call is
    independent of all others, so workers may draw any seeds in any order.

    Args:
        seed: any integer; training and held-out documents of one seed have nothing in common.
        config: what to draw; videos are drawn by `videos.generate_video`.

    Raises:
        ConfigError: if the configuration is of level "video", names a template its level does not
            have, or allows fewer lines than any of its templates needs.
    """
    if config.level == VIDEO_LEVEL:
        raise ConfigError("level is 'video'; draw it with generate_video.")
    if config.level not in ("glyphs", "line"):
        return write(seed, config)
    rng = source(seed, config, "content")
    draw = draw_glyphs if config.level == "glyphs" else draw_line
    return add_noise(draw(rng, config), rng, config.noise, config.side_multiple)


def redraw(seed: int, config: GeneratorConfig, slot: str) -> tuple[Document, QA]:
    """Draws the document of `generate` with one value replaced by a fresh one of its kind.

    Layout, fonts, noise, all other values and the size of the picture stay. A model that reads
    follows the new value.

    Args:
        seed: the seed of the document.
        config: its configuration.
        slot: the value to replace: `QA.slot` of one of the document's questions.

    Returns:
        The document, and the question asked of that slot with its new answer.

    Raises:
        ConfigError: if no question of the document asks for that slot, or no other value fits.
    """
    found = rewrite(seed, config, slot) if slot and config.level not in ("glyphs", "line") else None
    if found is None:
        raise ConfigError(
            f"The document of seed {seed} has no value {slot!r} to redraw; take the slot of one of "
            "its questions of kind 'field'."
        )
    return found


def blank(document: Document) -> Document:
    """The same sheet with nothing on it: one colour, the document's most common."""
    pixels = document.image.reshape(-1, 3)
    packed = pixels.astype(np.int64) @ np.array([65536, 256, 1])
    common = int(np.bincount(packed).argmax())
    image = np.empty_like(document.image)
    image[...] = (common >> 16, common >> 8 & 255, common & 255)
    return replace(
        document, image=image, lines=(), char_codes=document.char_codes[:0],
        char_centers=document.char_centers[:0], char_boxes=document.char_boxes[:0],
    )  # fmt: skip
