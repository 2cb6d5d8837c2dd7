"""The one counter: how many visual tokens something costs, from geometry alone."""

from typing import Protocol

from .tubelets import Tubelets


class PictureRule(Protocol):
    """How pictures are resized and cut: `DynamicResolution` or `Tiling`."""

    @property
    def merge_size(self) -> int: ...

    def grids(self, height: int, width: int, num_images: int = 1) -> list[tuple[int, int]]:
        """Patch rows and columns of everything the tower sees of one picture."""
        ...


def grid_tokens(rows: int, cols: int, merge_size: int = 2) -> int:
    """Visual tokens of a patch grid after pixel shuffle."""
    return (rows // merge_size) * (cols // merge_size)


def image_tokens(rule: PictureRule, height: int, width: int, num_images: int = 1) -> int:
    """Visual tokens of an image of `height` x `width` pixels among `num_images` of one prompt.

    Raises:
        InputError: a side is not positive.
    """
    grids = rule.grids(height, width, num_images)
    return sum(grid_tokens(rows, cols, rule.merge_size) for rows, cols in grids)


def video_shape(rule: Tubelets, num_frames: int, height: int, width: int) -> tuple[int, int, int]:
    """Visual tokens of a video: tubelets, and rows and columns of tokens in each.

    Raises:
        InputError: there is no frame, or a side is not positive.
    """
    rows, cols = rule.grid(height, width)
    return rule.num_tubelets(num_frames), rows // rule.merge_size, cols // rule.merge_size


def video_tokens(rule: Tubelets, num_frames: int, height: int, width: int) -> int:
    """Visual tokens of a video of `num_frames` frames of `height` x `width` pixels.

    Raises:
        InputError: there is no frame, or a side is not positive.
    """
    tubelets, rows, cols = video_shape(rule, num_frames, height, width)
    return tubelets * rows * cols
