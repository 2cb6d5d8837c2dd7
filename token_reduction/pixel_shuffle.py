"""Pixel shuffle v2: each `merge x merge` square of patches becomes one token, channels joined.

Channel order of a merged token is (dy, dx, channel). Version 1, which leaves rows and
columns exchanged, belongs to older InternVL models and is not used here.
"""

import torch
from torch import Tensor

from ..errors import InputError


def pixel_shuffle(features: Tensor, grid_hw: Tensor, merge_size: int = 2) -> Tensor:
    """Merge packed patch features.

    Args:
        features: `(total_patches, channels)`, images one after another, row by row.
        grid_hw: `(num_images, 2)`, both sides multiples of `merge_size`.

    Returns:
        `(total_patches / merge_size**2, channels * merge_size**2)`.

    Raises:
        InputError: a grid is not a multiple of `merge_size`.
    """
    grids = [(int(h), int(w)) for h, w in grid_hw.tolist()]
    merged = []
    for part, (height, width) in zip(features.split([h * w for h, w in grids]), grids, strict=True):
        if height % merge_size or width % merge_size:
            raise InputError(
                f"A patch grid of {height} x {width} cannot be merged {merge_size} x {merge_size}."
            )
        squares = part.view(height // merge_size, merge_size, width // merge_size, merge_size, -1)
        merged.append(squares.transpose(1, 2).reshape(-1, merge_size**2 * features.shape[1]))
    return torch.cat(merged) if len(merged) != 1 else merged[0]
