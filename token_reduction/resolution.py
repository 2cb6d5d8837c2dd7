"""Dynamic resolution: the patch grid an image is resized to, close to its own size.

The rule of the released Nemotron Omni models; each side is a multiple of the merge size
and at least as large. Several images share nothing: each has the same clamped budget.
"""

import math
from dataclasses import dataclass, replace

from ..errors import ConfigError, InputError


@dataclass(frozen=True, kw_only=True)
class DynamicResolution:
    """Limits of the grid, in patches.

    `max_model_len` caps the budget of one image at the context length: a context of n
    tokens holds `(n - 4) * merge_size**2` patches. `max_num_patches` 0 means no cap.
    """

    patch_size: int = 16
    merge_size: int = 2
    min_num_patches: int = 1024
    max_num_patches: int = 13312
    max_model_len: int = 16384

    def __post_init__(self) -> None:
        if self.patch_size < 1 or self.merge_size < 1:
            raise ConfigError(
                f"patch_size {self.patch_size} and merge_size {self.merge_size} must be positive."
            )

    def budget(self, num_images: int = 1) -> int:
        """Patches each image of one prompt may have."""
        budget = max(
            (self.max_model_len - 4) * self.merge_size**2, self.min_num_patches * num_images
        )
        if self.max_num_patches:
            budget = min(budget, self.max_num_patches)
        return max(budget, self.min_num_patches)

    def grid(self, height: int, width: int, num_images: int = 1) -> tuple[int, int]:
        """Patch rows and columns for an image of `height` x `width` pixels.

        Raises:
            InputError: a side is not positive.
        """
        if height < 1 or width < 1:
            raise InputError(f"An image of {width} x {height} pixels has no grid.")
        budget = self.budget(num_images)
        # Python rounds halves to even: 512 px of 16 px patches give 32, 528 px give 34
        rows = round(height / self.patch_size + 0.5)
        cols = round(width / self.patch_size + 0.5)
        shrink = min(math.sqrt(budget / (rows * cols)), 1.0)
        rows, cols = math.floor(shrink * rows), math.floor(shrink * cols)
        if not rows or not cols:
            # a very thin image would lose a side altogether: it keeps one merged row or column
            longest = budget // self.merge_size // self.merge_size * self.merge_size
            rows, cols = (min(max(side, self.merge_size), longest) for side in (rows, cols))
        if budget > self.min_num_patches and rows * cols < self.min_num_patches:
            grow = math.sqrt(self.min_num_patches / (rows * cols))
            rows, cols = math.ceil(grow * rows), math.ceil(grow * cols)
        rows = self._whole(rows, cols, budget)
        cols = self._whole(cols, rows, budget)
        return rows, cols

    def grids(self, height: int, width: int, num_images: int = 1) -> list[tuple[int, int]]:
        """The one grid of a picture, as a list: what the tower sees of it."""
        return [self.grid(height, width, num_images)]

    def within(self, tokens: int) -> "DynamicResolution":
        """The same, with at most so many visual tokens an image, but `min_num_patches` at least."""
        most = max(tokens * self.merge_size**2, self.min_num_patches)
        if self.max_num_patches:
            most = min(most, self.max_num_patches)
        return replace(self, max_num_patches=max(most, self.merge_size**2))

    def _whole(self, side: int, other: int, budget: int) -> int:
        """`side` as a multiple of the merge size: up if the budget allows, else down."""
        rest = side % self.merge_size
        if not rest:
            return side
        up = side + self.merge_size - rest
        return up if up * other <= budget else max(self.merge_size, side - rest)
