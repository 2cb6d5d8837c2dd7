"""Pictures to packed tiles, as Nemotron Nano V2 VL cuts them: row by row, the thumbnail last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import MediaError
from ..token_reduction.budget import image_tokens
from ..token_reduction.tiling import Tiling
from .image_transform import ImageInfo, PackedImages, known_settings
from .patches import CLIP_MEAN, CLIP_STD, PatchCutter, Picture, Triple, picture_planes, resize


@dataclass(frozen=True, kw_only=True)
class TileConfig:
    """The settings of fixed tiling, under the names they have on disk."""

    image_size: int = 512
    patch_size: int = 16
    downsample_ratio: float = 0.5
    max_num_tiles: int = 12
    use_thumbnail: bool = True
    image_mean: Triple = CLIP_MEAN
    image_std: Triple = CLIP_STD
    rescale_factor: float = 1 / 255

    def __post_init__(self) -> None:
        _ = self.tiling  # which checks that the sizes fit each other

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "TileConfig":
        """Take the known keys; `force_image_size` of a config.json is `image_size`.

        Raises:
            ConfigError: the folder asks for a transform this is not, or a value is of no use.
        """
        key = "image_size" if values.get("image_size") else "force_image_size"
        size = values.get(key)
        if isinstance(size, Mapping) and "height" in size:
            size = size["height"]
        others = {name: value for name, value in values.items() if name != "image_size"}
        return cls(**known_settings({**others, key: size}, cls))

    def to_json(self) -> dict[str, Any]:
        """The settings as a `preprocessor_config.json` has them."""
        return {
            "downsample_ratio": self.downsample_ratio,
            "image_size": self.image_size,
            "max_num_tiles": self.max_num_tiles,
            "norm_mean": list(self.image_mean),
            "norm_std": list(self.image_std),
            "patch_size": self.patch_size,
            "use_thumbnail": self.use_thumbnail,
        }

    @property
    def tiling(self) -> Tiling:
        """The rule that picks a picture's tiles."""
        return Tiling(
            tile_size=self.image_size,
            patch_size=self.patch_size,
            merge_size=round(1 / self.downsample_ratio),
            max_num_tiles=self.max_num_tiles,
            use_thumbnail=self.use_thumbnail,
        )


class TileTransform:
    """Applies a `TileConfig` to pictures."""

    def __init__(self, config: TileConfig) -> None:
        self.config = config
        self.tiling = config.tiling
        self._cut = PatchCutter(
            config.patch_size,
            mean=config.image_mean,
            std=config.image_std,
            rescale_factor=config.rescale_factor,
        )

    @property
    def rule(self) -> Tiling:
        """What gives each picture its tiles."""
        return self.tiling

    def __call__(self, images: Sequence[Picture], rule: Tiling | None = None) -> PackedImages:
        """Transform the pictures of one prompt: PIL images or uint8 arrays (h, w, 3) or (h, w).

        Args:
            rule: gives tiles instead of `self.rule`, under a budget for example.

        Raises:
            MediaError: an array of another form, or a picture without pixels.
        """
        if not images:
            raise MediaError("There is no picture to transform.")
        rule = rule or self.rule
        tiles: list[Tensor] = []
        grids: list[tuple[int, int]] = []
        infos = []
        for image in images:
            planes = picture_planes(image)
            height, width = planes.shape[1:]
            rows, cols = rule.tiles(height, width)
            tiles += [self._cut(tile) for tile in self._tiles(planes, rows, cols)]
            grids += rule.grids(height, width)
            side = rule.tile_grid[0]
            infos.append(
                ImageInfo(
                    original_size=(height, width),
                    resized_size=(rows * self.config.image_size, cols * self.config.image_size),
                    grid=(rows * side, cols * side),
                    visual_tokens=image_tokens(rule, height, width),
                    visual_tokens_before=image_tokens(self.rule, height, width),
                )
            )
        return PackedImages(
            pixel_values=torch.cat(tiles),
            image_grid_hw=torch.tensor(grids, dtype=torch.int64),
            infos=tuple(infos),
        )

    def _tiles(self, planes_CHW: Tensor, rows: int, cols: int) -> list[Tensor]:
        size = self.config.image_size
        whole = resize(planes_CHW, (rows * size, cols * size))
        tiles = [
            whole[:, row * size : (row + 1) * size, col * size : (col + 1) * size]
            for row in range(rows)
            for col in range(cols)
        ]
        if self.config.use_thumbnail and len(tiles) > 1:
            tiles.append(resize(planes_CHW, (size, size)))
        return tiles
