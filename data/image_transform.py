"""Pictures to packed patches, number for number as the nemotron_h_omni image processor does.

The grid is `token_reduction`'s; the steps from pixels to patches are those of `patches.py`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from ..errors import ConfigError, MediaError
from ..token_reduction.budget import image_tokens
from ..token_reduction.resolution import DynamicResolution
from .patches import CLIP_MEAN, CLIP_STD, PatchCutter, Picture, Triple, picture_planes, resize

BICUBIC = 3  # as PIL numbers its filters


@dataclass(frozen=True, kw_only=True)
class ImageConfig:
    """The `image_processor` settings of a checkpoint, under the names they have on disk."""

    patch_size: int = 16
    downsample_ratio: float = 0.5
    min_num_patches: int = 1024
    max_num_patches: int = 13312
    max_model_len: int = 16384
    image_mean: Triple = CLIP_MEAN
    image_std: Triple = CLIP_STD
    rescale_factor: float = 1 / 255

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "ImageConfig":
        """Take the known keys of a preprocessor or processor config; `norm_mean` is `image_mean`.

        Raises:
            ConfigError: the folder asks for a transform this is not.
        """
        return cls(**known_settings(values, cls))

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
    """What became of one picture. Sizes are pixels, `(height, width)`.

    `resized_size` and `grid` are of all its tiles together where it was cut into tiles; a
    thumbnail is counted in `visual_tokens` only. `visual_tokens_before` is what it would take
    without a budget for all pages, and `reduced_for` what made it smaller: "token_budget",
    "context", or "" if nothing did.
    """

    original_size: tuple[int, int]
    resized_size: tuple[int, int]
    grid: tuple[int, int]
    visual_tokens: int
    visual_tokens_before: int
    reduced_for: str = ""

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
        image_grid_hw: int64 (pictures, 2), in patches; a row for each tile of a picture
            that was cut into tiles.
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
        self._cut = PatchCutter(
            config.patch_size,
            mean=config.image_mean,
            std=config.image_std,
            rescale_factor=config.rescale_factor,
        )

    @property
    def rule(self) -> DynamicResolution:
        """What gives each picture its grid."""
        return self.resolution

    def __call__(
        self, images: Sequence[Picture], rule: DynamicResolution | None = None
    ) -> PackedImages:
        """Transform the pictures of one prompt: PIL images or uint8 arrays (h, w, 3) or (h, w).

        Args:
            rule: gives grids instead of `self.rule`, under a budget for example.

        Raises:
            MediaError: an array of another form, or a picture without pixels.
        """
        if not images:
            raise MediaError("There is no picture to transform.")
        rule = rule or self.rule
        rows, infos = [], []
        for image in images:
            planes = picture_planes(image)
            height, width = planes.shape[1:]
            grid = rule.grid(height, width, len(images))
            resized = (grid[0] * self.config.patch_size, grid[1] * self.config.patch_size)
            rows.append(self._cut(resize(planes, resized)))
            infos.append(
                ImageInfo(
                    original_size=(height, width),
                    resized_size=resized,
                    grid=grid,
                    visual_tokens=image_tokens(rule, height, width, len(images)),
                    visual_tokens_before=image_tokens(self.rule, height, width, len(images)),
                )
            )
        return PackedImages(
            pixel_values=rows[0] if len(rows) == 1 else torch.cat(rows),
            image_grid_hw=torch.tensor([info.grid for info in infos], dtype=torch.int64),
            infos=tuple(infos),
        )


def known_settings(values: Mapping[str, Any], config: type) -> dict[str, Any]:
    """The keys of a preprocessor's JSON that a configuration has, as `checked_settings`.

    Raises:
        ConfigError: the folder asks for a transform this is not, or a value is of no use.
    """
    for key, only in [("resample", BICUBIC), ("do_rescale", True), ("do_normalize", True)]:
        if values.get(key, only) not in (only, None):
            raise ConfigError(f"The image processor's {key} must be {only}, not {values[key]}.")
    return checked_settings(values, config)


_RENAMED = {
    "norm_mean": "image_mean",
    "norm_std": "image_std",
    "force_image_size": "image_size",
}


def checked_settings(values: Mapping[str, Any], config: type) -> dict[str, Any]:
    """The keys that a configuration has, under its names; each of its default's kind.

    Raises:
        ConfigError: a value is of another kind, or no size.
    """
    defaults = {field.name: field.default for field in fields(config)}
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = _RENAMED.get(key, key)
        if name in defaults and value is not None:
            found[name] = _checked(key, value, defaults[name])
    return found


def _checked(key: str, value: Any, default: Any) -> Any:
    if isinstance(default, bool):
        wanted, fits = "true or false", isinstance(value, bool)
    elif isinstance(default, int):
        wanted, fits = "a whole number", _is_number(value) and value == value // 1 and value >= 0
        value = int(value) if fits else value
    elif isinstance(default, float):
        wanted, fits = "a number above 0", _is_number(value) and value > 0
    else:
        wanted = "a list of three numbers"
        fits = isinstance(value, list | tuple) and len(value) == 3 and all(map(_is_number, value))
        value = tuple(value) if fits else value
    if not fits:
        raise ConfigError(f"The image processor's {key} is {value!r}; it must be {wanted}.")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
