"""The grid rule against transformers', and where transformers has none."""

import random

import pytest
from transformers.models.nemotron_h_omni.image_processing_nemotron_h_omni import (
    get_patch_grid_size,
)

from latentvlm.errors import ConfigError, InputError
from latentvlm.token_reduction.budget import grid_tokens, image_tokens
from latentvlm.token_reduction.resolution import DynamicResolution

LIMITS = [(16, 1024, 13312), (16, 4, 1024), (8, 16, 400), (14, 256, 256), (16, 1, 64), (8, 4, 4096)]


def resolution(patch: int, low: int, high: int) -> DynamicResolution:
    return DynamicResolution(patch_size=patch, min_num_patches=low, max_num_patches=high)


@pytest.mark.parametrize(("patch", "low", "high"), LIMITS)
def test_the_rule_is_transformers(patch: int, low: int, high: int) -> None:
    rule, draw, compared = resolution(patch, low, high), random.Random(0), 0
    sizes = [(draw.randint(1, 3000), draw.randint(1, 3000)) for _ in range(1500)]
    sizes += [(patch * n, patch * m) for n in range(1, 40) for m in (1, 2, 7, 32, 33)]
    sizes += [(512, 512), (520, 528), (1, 1), (16, 5000), (2481, 3508)]
    for height, width in sizes:
        try:
            expected = get_patch_grid_size(height, width, patch, 2, low, high)
        except ZeroDivisionError:
            continue
        if min(expected) < 2:
            continue  # a side of nothing: the oracle rounds a very thin image away
        compared += 1
        assert rule.grid(height, width) == expected, (height, width)
    assert compared > 1400


@pytest.mark.parametrize(("patch", "low", "high"), LIMITS)
@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (3, 20000), (1, 1), (40000, 17)])
def test_thin_images_keep_both_sides(patch: int, low: int, high: int, size) -> None:
    rows, columns = resolution(patch, low, high).grid(*size)
    assert rows >= 2 and columns >= 2 and rows % 2 == 0 and columns % 2 == 0


def test_budget_follows_the_context() -> None:
    assert DynamicResolution().budget() == 13312
    assert DynamicResolution(max_model_len=1004).budget() == 4000
    assert DynamicResolution(max_model_len=100).budget() == 1024  # the least an image gets
    assert DynamicResolution(max_num_patches=0).budget() == 4 * (16384 - 4)


def test_known_sizes() -> None:
    rule = DynamicResolution(min_num_patches=4)
    assert rule.grid(512, 512) == (32, 32)
    assert rule.grid(520, 520) == (34, 34)  # 33 is odd, and there is room
    assert rule.grid(528, 528) == (34, 34)


def test_the_counter_counts_what_the_grid_gives() -> None:
    rule = DynamicResolution(min_num_patches=4)
    assert image_tokens(rule, 512, 768) == 16 * 24
    assert grid_tokens(34, 12) == 17 * 6


def test_bad_values_say_so() -> None:
    with pytest.raises(InputError, match="0 x 4 pixels"):
        DynamicResolution().grid(4, 0)
    with pytest.raises(ConfigError, match="patch_size 0"):
        DynamicResolution(patch_size=0)
