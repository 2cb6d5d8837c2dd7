"""One budget for many pages: fair, exact, and none dropped."""

import random

import pytest

from latentvlm.errors import PromptError
from latentvlm.token_reduction.budget import image_tokens
from latentvlm.token_reduction.page_budget import share_pages
from latentvlm.token_reduction.resolution import DynamicResolution
from latentvlm.token_reduction.tiling import Tiling

OMNI = DynamicResolution()
SMALL = DynamicResolution(patch_size=8, min_num_patches=4, max_num_patches=4096)
V2 = Tiling()


def tokens(rule, sizes):
    return [image_tokens(rule, height, width, len(sizes)) for height, width in sizes]


@pytest.mark.parametrize("rule", [OMNI, SMALL, V2], ids=["omni", "small", "tiles"])
def test_pages_keep_to_the_budget_and_to_one_ceiling(rule) -> None:
    rng = random.Random(3)
    for _ in range(40):
        sizes = [(rng.randint(1, 3000), rng.randint(1, 3000)) for _ in range(rng.randint(1, 7))]
        own, least = tokens(rule, sizes), tokens(rule.within(0), sizes)
        budget = rng.randint(sum(least), sum(own) + 5)
        given = tokens(share_pages(rule, sizes, budget), sizes)
        assert sum(given) <= budget
        assert all(low <= mine <= full for low, mine, full in zip(least, given, own, strict=True))
        assert (given == own) == (sum(own) <= budget)


def test_pages_of_usual_shapes_get_about_the_same() -> None:
    rng = random.Random(4)
    for _ in range(20):
        sizes = [(rng.randint(400, 3000), rng.randint(400, 3000)) for _ in range(5)]
        own = tokens(SMALL, sizes)
        budget = sum(own) // rng.randint(2, 6)
        given = tokens(share_pages(SMALL, sizes, budget), sizes)
        reduced = [mine for mine, full in zip(given, own, strict=True) if mine < full]
        # who was made smaller has no less than anybody, but for the rounding of a grid
        assert min(reduced) >= 0.75 * max(given)
        assert sum(given) >= 0.8 * budget


def test_worked_tables() -> None:
    # A page of 800 x 1000 pixels takes 63 x 50 -> 64 x 50 patches, 800 visual tokens; a budget
    # of 1000 for two gives each of them at most 500, and one of 160 x 160 keeps its own 256.
    page, small = (1000, 800), (160, 160)
    assert tokens(OMNI, [page, small]) == [32 * 25, 256]
    given = tokens(share_pages(OMNI, [page, page], 1000), [page, page])
    assert given[0] == given[1] <= 500
    mixed = tokens(share_pages(OMNI, [page, small], 900), [page, small])
    assert mixed[1] == 256 and 550 < mixed[0] <= 644
    # Tiles: 3 x 2 and a thumbnail are 1792 tokens; 1024 hold at most three and a thumbnail.
    tall = (1500, 1000)
    assert tokens(V2, [tall]) == [7 * 256]
    assert tokens(share_pages(V2, [tall], 1024), [tall]) == [3 * 256]  # 2 x 1 is nearest in shape
    assert tokens(share_pages(V2, [tall], 767), [tall]) == [256]


@pytest.mark.parametrize("rule", [OMNI, V2], ids=["omni", "tiles"])
def test_a_budget_below_the_least_is_refused(rule) -> None:
    sizes = [(1024, 1024)] * 3
    with pytest.raises(PromptError, match="budget of 700 .* 3 pages, which take 768 at the least"):
        share_pages(rule, sizes, 700)
    assert tokens(share_pages(rule, sizes, 768), sizes) == [256] * 3


def test_two_thousand_pages_are_counted_quickly_enough_to_be_planned() -> None:
    sizes = [(1123 + page % 7, 794) for page in range(2000)]
    given = tokens(share_pages(SMALL, sizes, 100_000), sizes)
    assert len(given) == 2000 and min(given) > 30 and sum(given) <= 100_000
