"""A picture to normalised patches: the steps that images, tiles and frames share.

Resizing is bicubic with antialiasing on float32 and is not clamped, so overshoot at sharp
edges stays; then (x / 255 - mean) / std.
"""

from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..errors import MediaError

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

Picture: TypeAlias = Image.Image | np.ndarray
Triple: TypeAlias = tuple[float, float, float]


def picture_planes(image: Picture) -> Tensor:
    """A picture as float32 (3, h, w), values from 0 to 255.

    Raises:
        MediaError: an array of another form, or a picture without pixels.
    """
    pixels = _pixels(image).permute(2, 0, 1)
    return pixels.to(torch.float32, memory_format=torch.contiguous_format)


def picture_size(image: Picture) -> tuple[int, int]:
    """Height and width in pixels.

    Raises:
        MediaError: an array of another form, or a picture without pixels.
    """
    if isinstance(image, Image.Image):
        return image.height, image.width
    height, width = _pixels(image).shape[:2]
    return int(height), int(width)


def resize(planes_CHW: Tensor, size: tuple[int, int]) -> Tensor:
    """Planes (..., h, w) of another size `(height, width)`; the same if they have it."""
    if planes_CHW.shape[-2:] == size:
        return planes_CHW
    return F.interpolate(
        planes_CHW[None], size=size, mode="bicubic", align_corners=False, antialias=True
    )[0]


class PatchCutter:
    """Cuts planes into patches and normalises them as they lie."""

    def __init__(
        self, patch_size: int, *, mean: Triple, std: Triple, rescale_factor: float = 1 / 255
    ) -> None:
        self.patch_size = patch_size
        area = patch_size**2
        # One number a column of a patch row.
        factor = torch.tensor(1 / rescale_factor)
        self._mean = (torch.tensor(mean) * factor).repeat_interleave(area)
        self._std = (torch.tensor(std) * factor).repeat_interleave(area)

    def __call__(self, planes_CHW: Tensor) -> Tensor:
        """Patches `(rows * cols, 3 * p * p)` row by row, each in (channel, y, x) order."""
        side = self.patch_size
        rows, cols = planes_CHW.shape[1] // side, planes_CHW.shape[2] // side
        patches = planes_CHW.reshape(3, rows, side, cols, side).permute(1, 3, 0, 2, 4)
        patches = patches.reshape(rows * cols, 3 * side * side)
        return patches.sub_(self._mean).div_(self._std)


def _pixels(image: Picture) -> Tensor:
    """A picture as uint8 (h, w, 3)."""
    if isinstance(image, Image.Image):
        image = np.array(image if image.mode == "RGB" else image.convert("RGB"))
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
        raise MediaError(
            f"A picture given as an array must be uint8 of shape (h, w, 3) or (h, w), "
            f"not {image.dtype} of shape {image.shape}."
        )
    if not image.size:
        raise MediaError(f"A picture of {image.shape[1]} x {image.shape[0]} pixels has no pixels.")
    if image.ndim == 2:
        image = np.repeat(image[:, :, None], 3, axis=2)
    if not image.flags.writeable or not image.flags.c_contiguous:
        image = image.copy()
    return torch.from_numpy(image)
