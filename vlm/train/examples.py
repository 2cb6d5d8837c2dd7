"""Records -> training examples: a pure function of the record, so a stream can be redrawn."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from ...data.char_labels import char_targets
from ...data.packing import Example
from ...data.shards import Record
from ...token_reduction.resolution import DynamicResolution
from ...vision_encoder.radio import RadioConfig

_NOTHING = np.zeros(0, dtype=np.int64)


class TowerExamples:
    """Pictures with the characters of their patches, and no text.

    Args:
        vision: the tower's sizes and pixel statistics.
        resolution: the rule for grids, the one inference uses.
    """

    def __init__(self, vision: RadioConfig, resolution: DynamicResolution):
        self.resolution = resolution
        self.patch = vision.patch_size
        mean, std = np.array(vision.image_mean), np.array(vision.image_std)
        # (x / 255 - mean) / std as one multiplication and one addition.
        self.scale = (1 / (255 * std)).astype(np.float32)
        self.shift = (-mean / std).astype(np.float32)

    def __call__(self, record: Record) -> Example:
        height, width = record.image.shape[:2]
        grid = self.resolution.grid(height, width)
        return Example(
            input_ids=_NOTHING,
            labels=_NOTHING,
            pixel_values=self.patches(record.image, grid),
            image_grid_hw=np.array([grid], dtype=np.int64),
            char_targets=record_targets(record, grid),
        )

    def patches(self, image: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
        """Normalised patches `(rows * columns, 3 * p * p)`, each in (channel, y, x) order."""
        rows, columns, p = *grid, self.patch
        pixels = image.astype(np.float32)
        if image.shape[:2] != (rows * p, columns * p):
            batch = torch.from_numpy(pixels).permute(2, 0, 1)[None]
            size = (rows * p, columns * p)
            resized = F.interpolate(
                batch, size=size, mode="bicubic", antialias=True, align_corners=False
            )
            pixels = resized[0].permute(1, 2, 0).numpy()
        pixels = pixels * self.scale + self.shift
        tiles = pixels.reshape(rows, p, columns, p, 3).transpose(0, 2, 4, 1, 3)
        return tiles.reshape(rows * columns, 3 * p * p)


def record_targets(record: Record, grid: tuple[int, int]) -> np.ndarray | None:
    """The character classes of a record's patches, if its characters are known."""
    if "codes" not in record.meta:
        return None
    return char_targets(
        np.array(record.meta["codes"], dtype=np.int64),
        np.array(record.meta["centers"], dtype=np.float64).reshape(-1, 2),
        size=(record.image.shape[0], record.image.shape[1]),
        grid=grid,
    )
