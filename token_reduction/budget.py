"""The one counter: how many visual tokens something costs, from geometry alone."""

from .resolution import DynamicResolution


def grid_tokens(rows: int, cols: int, merge_size: int = 2) -> int:
    """Visual tokens of a patch grid after pixel shuffle."""
    return (rows // merge_size) * (cols // merge_size)


def image_tokens(
    resolution: DynamicResolution, height: int, width: int, num_images: int = 1
) -> int:
    """Visual tokens of an image of `height` x `width` pixels among `num_images` of one prompt.

    Raises:
        InputError: a side is not positive.
    """
    rows, cols = resolution.grid(height, width, num_images)
    return grid_tokens(rows, cols, resolution.merge_size)
