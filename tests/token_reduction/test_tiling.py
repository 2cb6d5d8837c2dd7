"""Fixed tiling against the published table, its definition written out, and its ties."""

import random

import pytest

from latentvlm.errors import ConfigError, InputError
from latentvlm.token_reduction.budget import image_tokens
from latentvlm.token_reduction.tiling import Tiling

# width, height, most tiles; grid (columns, rows), tiles with the thumbnail, visual tokens
TABLE = [
    (512, 512, 12, (1, 1), 1, 256),
    (481, 202, 12, (5, 2), 11, 2816),
    (481, 202, 2, (2, 1), 3, 768),
    (481, 202, 4, (2, 1), 3, 768),
    (481, 202, 8, (2, 1), 3, 768),
    (1178, 1779, 12, (2, 3), 7, 1792),
    (1178, 1779, 8, (2, 3), 7, 1792),
    (1178, 1779, 4, (1, 2), 3, 768),
    (1024, 1024, 12, (2, 2), 5, 1280),
    (3072, 1024, 12, (6, 2), 13, 3328),
    (2048, 1536, 12, (4, 3), 13, 3328),
]


@pytest.mark.parametrize(("width", "height", "most", "grid", "tiles", "tokens"), TABLE)
def test_the_published_table(width, height, most, grid, tiles, tokens):
    rule = Tiling(max_num_tiles=most)
    assert rule.tiles(height, width) == grid[::-1]
    assert rule.grids(height, width) == [(32, 32)] * tiles
    assert image_tokens(rule, height, width) == tokens


def by_definition(width: int, height: int, most: int, size: int) -> tuple[int, int]:
    """(columns, rows): the nearest shape; of equal shapes the largest that is half filled."""
    grids = [(w, h) for w in range(1, most + 1) for h in range(1, most + 1) if w * h <= most]
    nearest = min(abs(width / height - w / h) for w, h in grids)
    tied = [(w, h) for w, h in grids if abs(width / height - w / h) == nearest]
    tied.sort(key=lambda grid: grid[0] * grid[1])
    filled = [grid for grid in tied if width * height > 0.5 * size**2 * grid[0] * grid[1]]
    return filled[-1] if filled else tied[0]


def test_any_picture():
    draw = random.Random(0)
    for _ in range(400):
        width, height, most = draw.randint(1, 3000), draw.randint(1, 3000), draw.randint(1, 16)
        found = Tiling(max_num_tiles=most).tiles(height, width)
        assert found[::-1] == by_definition(width, height, most, 512), (width, height, most)


def test_the_tie_is_exactly_at_half():
    """724 squared is just under half of two tiles squared, 725 squared just over."""
    assert Tiling().tiles(724, 724) == (1, 1) and Tiling().tiles(725, 725) == (2, 2)
    small = Tiling(tile_size=64, patch_size=16)
    assert small.tiles(64, 128) == (1, 2)  # the same as 2 x 4, which it would not half fill


def test_without_thumbnail_and_in_other_sizes():
    rule = Tiling(tile_size=64, patch_size=8, use_thumbnail=False)
    assert rule.grids(128, 128) == [(8, 8)] * 4
    assert image_tokens(rule, 128, 128) == 4 * 16
    with pytest.raises(InputError, match="4 x 0"):
        rule.tiles(0, 4)
    for values in [{"tile_size": 40, "patch_size": 16}, {"max_num_tiles": 0}, {"tile_size": 16}]:
        with pytest.raises(ConfigError):
            Tiling(**values)
