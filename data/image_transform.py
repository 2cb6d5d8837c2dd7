"""Pictures to packed patches, number for number as the nemotron_h_omni image processor does.

The grid is `token_reduction`'s; resizing is bicubic with antialiasing on float32 and is not
clamped, so overshoot at sharp edges stays; then (x / 255 - mean) / std.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..errors import ConfigError, MediaError
from ..token_reduction.budget import grid_tokens
from ..token_reduction.resolution import DynamicResolution

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
BICUBIC = 3  # as PIL numbers its filters

Picture = Image.Image | np.ndarray


@dataclass(frozen=True, kw_only=True)
class ImageConfig:
    """The `image_processor` settings of a checkpoint, under the names they have on disk."""

    patch_size: int = 16
    downsample_ratio: float = 0.5
    min_num_patches: int = 1024
    max_num_patches: int = 13312
    max_model_len: int = 16384
    image_mean: tuple[float, float, float] = CLIP_MEAN
    image_std: tuple[float, float, float] = CLIP_STD
    rescale_factor: float = 1 / 255

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "ImageConfig":
        """Take the known keys of a preprocessor or processor config; `norm_mean` is `image_mean`.

        Raises:
            ConfigError: the folder asks for a transform this is not.
        """
        for key, only in [("resample", BICUBIC), ("do_rescale", True), ("do_normalize", True)]:
            if values.get(key, only) not in (only, None):
                raise ConfigError(f"The image processor's {key} must be {only}, not {values[key]}.")
        known = {field.name for field in fields(cls)}
        renamed = {"norm_mean": "image_mean", "norm_std": "image_std"}
        taken = {renamed.get(k, k): v for k, v in values.items() if v is not None}
        found: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in taken.items() if k in known
        }
        return cls(**found)

    def to_json(self) -> dict[str, Any]:
        """The settings as transformers writes them."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            **{k: list(v) if isinstance(v, tuple) else v for k, v in values.items()},
            "do_convert_rgb": True,
            "do_normalize": True,
            "do_rescale": True,
            "image_processor_type": "NemotronH_Omni_Reasoning_V3ImageProcessor",
            "resample": BICUBIC,
        }

    @property
    def resolution(self) -> DynamicResolution:
        """The rule that picks a picture's grid."""
        return DynamicResolution(
            patch_size=self.patch_size,
            merge_size=round(1 / self.downsample_ratio),
            min_num_patches=self.min_num_patches,
            max_num_patches=self.max_num_patches,
            max_model_len=self.max_model_len,
        )


@dataclass(frozen=True, kw_only=True)
class ImageInfo:
    """What became of one picture. Sizes are pixels, `(height, width)`."""

    original_size: tuple[int, int]
    resized_size: tuple[int, int]
    grid: tuple[int, int]
    visual_tokens: int

    @property
    def scale(self) -> float:
        """Resized by original size, the smaller of the two sides' ratios; under 1 is shrunk."""
        return min(
            new / old for new, old in zip(self.resized_size, self.original_size, strict=True)
        )


@dataclass(frozen=True, kw_only=True)
class PackedImages:
    """Packed pictures of one prompt.

    Attributes:
        pixel_values: float32 (patches, 3 * p * p), rows by picture, then row-major over
            its grid, each row in (channel, y, x) order.
        image_grid_hw: int64 (pictures, 2), in patches.
        infos: one a picture.
    """

    pixel_values: Tensor
    image_grid_hw: Tensor
    infos: tuple[ImageInfo, ...]


class ImageTransform:
    """Applies an `ImageConfig` to pictures."""

    def __init__(self, config: ImageConfig) -> None:
        self.config = config
        self.resolution = config.resolution
        area = config.patch_size**2
        # One number a column of a patch row, so that patches are normalised as they lie.
        factor = torch.tensor(1 / config.rescale_factor)
        self._mean = (torch.tensor(config.image_mean) * factor).repeat_interleave(area)
        self._std = (torch.tensor(config.image_std) * factor).repeat_interleave(area)

    def __call__(self, images: Sequence[Picture]) -> PackedImages:
        """Transform the pictures of one prompt: PIL images or uint8 arrays (h, w, 3) or (h, w).

        Raises:
            MediaError: an array of another form, or a picture without pixels.
        """
        if not images:
            raise MediaError("There is no picture to transform.")
        rows, infos = [], []
        for image in images:
            pixels = _pixels(image)
            height, width = pixels.shape[:2]
            grid = self.resolution.grid(height, width, len(images))
            resized = (grid[0] * self.config.patch_size, grid[1] * self.config.patch_size)
            planes = pixels.permute(2, 0, 1).to(
                torch.float32, memory_format=torch.contiguous_format
            )
            if resized != (height, width):
                planes = _resize(planes, resized)
            rows.append(self._patches(planes, grid))
            tokens = grid_tokens(*grid, self.resolution.merge_size)
            infos.append(
                ImageInfo(
                    original_size=(height, width),
                    resized_size=resized,
                    grid=grid,
                    visual_tokens=tokens,
                )
            )
        return PackedImages(
            pixel_values=rows[0] if len(rows) == 1 else torch.cat(rows),
            image_grid_hw=torch.tensor([info.grid for info in infos], dtype=torch.int64),
            infos=tuple(infos),
        )

    def _patches(self, planes_CHW: Tensor, grid: tuple[int, int]) -> Tensor:
        side = self.config.patch_size
        patches = planes_CHW.view(3, grid[0], side, grid[1], side).permute(1, 3, 0, 2, 4)
        patches = patches.reshape(grid[0] * grid[1], 3 * side * side)
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


def _resize(planes_CHW: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(
        planes_CHW[None], size=size, mode="bicubic", align_corners=False, antialias=True
    )[0]
