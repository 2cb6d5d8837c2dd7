"""Fixed tiling: a picture is cut into square tiles of one size, and a thumbnail comes last.

The rule of Nemotron Nano V2 VL, which has it from InternVL: of all grids of at most
`max_num_tiles` tiles the one nearest in shape to the picture, which is then resized to fill
it. Each tile is a picture of its own to the tower.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

from ..errors import ConfigError, InputError


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """Sizes in pixels, but for `max_num_tiles`; a thumbnail is not counted in it."""

    tile_size: int = 512
    patch_size: int = 16
    merge_size: int = 2
    max_num_tiles: int = 12
    use_thumbnail: bool = True

    def __post_init__(self) -> None:
        if self.patch_size < 1 or self.merge_size < 1 or self.max_num_tiles < 1:
            raise ConfigError(
                f"patch_size {self.patch_size}, merge_size {self.merge_size} and max_num_tiles "
                f"{self.max_num_tiles} must be positive."
            )
        step = self.patch_size * self.merge_size
        if self.tile_size < step or self.tile_size % step:
            raise ConfigError(
                f"A tile of {self.tile_size} pixels cannot be cut into patches of "
                f"{self.patch_size} merged {self.merge_size} x {self.merge_size}."
            )

    @property
    def tile_grid(self) -> tuple[int, int]:
        """Patch rows and columns of one tile."""
        side = self.tile_size // self.patch_size
        return side, side

    def tiles(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of tiles for a picture of `height` x `width` pixels.

        Raises:
            InputError: a side is not positive.
        """
        if height < 1 or width < 1:
            raise InputError(f"An image of {width} x {height} pixels has no tiles.")
        best, nearest = (1, 1), math.inf
        for rows, cols in self._candidates:
            distance = abs(width / height - cols / rows)
            # Of two grids of one shape the larger is taken if the picture fills half of it.
            fills = width * height > 0.5 * self.tile_size**2 * rows * cols
            if distance < nearest or (distance == nearest and fills):
                best, nearest = (rows, cols), distance
        return best

    def grids(self, height: int, width: int, num_images: int = 1) -> list[tuple[int, int]]:
        """Patch rows and columns of everything the tower sees of one picture, in order.

        `num_images` is of no effect: tiles are not shared out.

        Raises:
            InputError: a side is not positive.
        """
        rows, cols = self.tiles(height, width)
        has_thumbnail = self.use_thumbnail and rows * cols > 1
        return [self.tile_grid] * (rows * cols + has_thumbnail)

    def within(self, tokens: int) -> "Tiling":
        """The same, with at most so many visual tokens a picture, but one tile at least."""
        rows, cols = self.tile_grid
        tiles = tokens // ((rows // self.merge_size) * (cols // self.merge_size))
        if self.use_thumbnail:  # which comes with two tiles or more
            tiles = tiles - 1 if tiles > 2 else 1
        return replace(self, max_num_tiles=min(max(tiles, 1), self.max_num_tiles))

    @cached_property
    def _candidates(self) -> list[tuple[int, int]]:
        most = self.max_num_tiles
        grids = [(r, c) for r in range(1, most + 1) for c in range(1, most // r + 1)]
        return sorted(grids, key=lambda grid: grid[0] * grid[1])
