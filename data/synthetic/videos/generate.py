"""The entry: a seed and a configuration of level "video" in, a drawn video out."""

from collections.abc import Callable

from ....errors import ConfigError
from ..config import GeneratorConfig
from ..writer import source
from .counters import draw_counter, draw_ticker
from .film import Film
from .screen import draw_buttons, draw_scrolling, draw_typing
from .shapes import draw_shapes
from .slides import draw_change, draw_slides
from .video import DrawnVideo

# Kind of video -> who draws it, and how often it comes.
TEMPLATES: dict[str, tuple[Callable[[Film], DrawnVideo], int]] = {
    "slides": (draw_slides, 4),
    "change": (draw_change, 2),
    "typing": (draw_typing, 3),
    "buttons": (draw_buttons, 1),
    "scrolling": (draw_scrolling, 2),
    "shapes": (draw_shapes, 3),
    "counter": (draw_counter, 3),
    "ticker": (draw_ticker, 1),
}


def generate_video(seed: int, config: GeneratorConfig) -> DrawnVideo:
    """Draws one video.

    The same seed and configuration give the same video on every machine, and each call is
    independent of all others, as with documents.

    Args:
        seed: any integer.
        config: of level "video"; its fonts, font_sizes, widths, frames, frame_patches,
            max_questions, question_kinds and templates count.

    Raises:
        ConfigError: it is of another level, or names a template or a size that no video has.
    """
    if config.level != "video":
        raise ConfigError(f"level is {config.level!r}; a video is drawn at level 'video'.")
    names = config.templates or tuple(TEMPLATES)
    for name in names:
        if name not in TEMPLATES:
            raise ConfigError(
                f"templates has {name!r}; those of videos are {', '.join(TEMPLATES)}."
            )
    rng = source(seed, config, "video")
    name = rng.choices(names, [TEMPLATES[name][1] for name in names])[0]
    return TEMPLATES[name][0](Film(rng, config))
