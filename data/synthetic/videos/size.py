"""Sizes of frames that a model looks at as they are, so that small type stays crisp."""

from functools import lru_cache

from ....errors import ConfigError
from ....token_reduction.tubelets import Tubelets
from ..config import GeneratorConfig

# (narrowest, widest) where the configuration does not say.
_WIDTHS = (208, 288)


def frame_sizes(config: GeneratorConfig) -> tuple[tuple[int, int], ...]:
    """(height, width) of every frame that is not resized at `config.frame_patches`.

    Raises:
        ConfigError: there is none of the widths asked for.
    """
    widths = _WIDTHS if config.widths == (0, 0) else config.widths
    found = _sizes(config.frame_patches, config.side_multiple, *widths)
    if not found:
        raise ConfigError(
            f"No frame of frame_patches {config.frame_patches} is {widths[0]} to {widths[1]} "
            "pixels wide; choose other widths or more patches."
        )
    return found


@lru_cache(maxsize=16)
def _sizes(patches: int, step: int, low: int, high: int) -> tuple[tuple[int, int], ...]:
    rule = Tubelets(patch_size=step // 2, target_num_patches=patches)
    sides = range(step, 1 + patches * step, step)
    return tuple(
        (height, width)
        for width in sides
        if low <= width <= high
        for height in sides
        # Between a strip of four lines and a square.
        if 4 * step <= height <= width
        and rule.grid(height, width) == (height // rule.patch_size, width // rule.patch_size)
    )
