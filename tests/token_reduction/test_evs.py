"""Which visual tokens EVS keeps: against the rule written out in loops, and transformers' function.

Of transformers only the function is right; the model around it fails (see tests/vlm/test_evs.py).
"""

import math
import random

import pytest
import torch
from support.videos import evs_places
from torch import Tensor
from transformers.models.nemotron_h_omni.modeling_nemotron_h_omni import compute_retention_mask

from latentvlm.errors import ConfigError, InputError, PromptError
from latentvlm.token_reduction.budget import plan_evs, plan_videos
from latentvlm.token_reduction.evs import EVSConfig, EVSPlan, dissimilarity, retention_mask


def tokens(shape: tuple[int, int, int], *, seed: int = 0, still: float = 0.5) -> Tensor:
    """A video in which a share of the tokens does not change from tubelet to tubelet."""
    draw = torch.Generator().manual_seed(seed)
    video = torch.randn(*shape, 6, generator=draw)
    for t in range(1, shape[0]):
        stays = torch.rand(*shape[1:], generator=draw) < still
        video[t][stays] = video[t - 1][stays]
    return video


def kept(video: Tensor, config: EVSConfig) -> set:
    (plan,) = plan_evs(config, [video.shape[:3]])
    return {tuple(place) for place in retention_mask(video, plan).nonzero().tolist()}


# few or no still tokens where equal ones would have to be dropped: their order is rounding's
@pytest.mark.parametrize("shape", [(1, 2, 3), (2, 2, 2), (4, 2, 5), (9, 3, 1), (6, 4, 4)])
@pytest.mark.parametrize("rate", [0.0, 0.3, 0.5, 0.75, 0.9, 0.999])
def test_the_rule_by_hand_and_of_transformers(shape: tuple[int, int, int], rate: float):
    video = tokens(shape, seed=sum(shape), still=0.0)
    found = kept(video, EVSConfig(rate=rate))
    assert found == evs_places(video, rate)
    theirs = compute_retention_mask(
        video_embeds=video.flatten(0, 2), thw=(shape[0], shape[1] * 2, shape[2] * 2),
        spatial_merge_size=2, q=rate,
    ).view(shape)  # fmt: skip
    assert found == {tuple(place) for place in theirs.nonzero().tolist()}
    assert found >= {(0, y, x) for y in range(shape[1]) for x in range(shape[2])}


def test_of_equals_the_earlier_one_stays():
    video = torch.ones(4, 2, 2, 3)
    (plan,) = plan_evs(EVSConfig(rate=0.5), [(4, 2, 2)])
    assert (
        plan.keep == 8
        and retention_mask(video, plan).flatten().tolist() == [True] * 8 + [False] * 8
    )


def test_a_short_clip_and_a_late_event_survive_by_the_floor():
    video = torch.randn(1, 2, 4, 6).repeat(8, 1, 1, 1)
    video[1:4] = torch.randn(3, 2, 4, 6)  # much is going on at first
    video[7, 1, 2] += 0.3  # and a little at the end
    published = kept(video, EVSConfig(rate=0.75))
    assert len(published) == 16 and not any(t == 7 for t, _, _ in published)
    floored = kept(video, EVSConfig(rate=0.75, floor=0.1))
    assert len(floored) == 16 and (7, 1, 2) in floored
    assert {t for t, _, _ in floored} == set(range(8))
    # 4 frames in 2 tubelets: the published rule keeps the first one alone
    short = tokens((2, 4, 4))
    assert {t for t, _, _ in kept(short, EVSConfig(rate=0.75))} == {0}
    assert len(kept(short, EVSConfig(rate=0.75, floor=0.2))) == 16 + 4


@pytest.mark.parametrize("floor, threshold", [(0.0, 0.4), (0.2, 0.4), (0.3, 0.0), (0.2, 2.0)])
def test_floor_and_threshold_evs_places(floor: float, threshold: float):
    for rate in (0.0, 0.4, 0.8):
        video = tokens((5, 3, 4), seed=7, still=0.4)
        config = EVSConfig(rate=rate, floor=floor, threshold=threshold)
        (plan,) = plan_evs(config, [(5, 3, 4)])
        found = kept(video, config)
        if threshold:  # which of the still ones stay is an order of roundings
            assert found == evs_places(video, rate, floor=math.ceil(floor * 12), least=threshold)
        assert len(found) <= plan.keep == max(12 + 4 * math.ceil(floor * 12), int(60 * (1 - rate)))


def test_a_still_clip_costs_its_first_tubelet_by_threshold():
    assert len(kept(torch.ones(6, 2, 2, 4), EVSConfig(threshold=0.01))) == 4
    assert len(kept(torch.ones(6, 2, 2, 4), EVSConfig(threshold=0.0))) == 24


def test_a_budget_holds_exactly_for_any_videos():
    draw = random.Random(3)
    for _ in range(300):
        shapes = [
            (draw.randint(1, 40), draw.randint(1, 16), draw.randint(1, 16))
            for _ in range(draw.randint(1, 5))
        ]
        floor = draw.choice([0.0, 0.1, 1.0])
        plans = plan_evs(EVSConfig(floor=floor, rate=0.999), shapes)
        least, total = sum(plan.keep for plan in plans), sum(math.prod(s) for s in shapes)
        budget = draw.randint(least, total)
        shared = plan_evs(EVSConfig(token_budget=budget, floor=floor), shapes)
        spent = sum(plan.keep for plan in shared)
        assert budget - len(shapes) < spent <= budget
        for plan, low in zip(shared, plans, strict=True):
            assert low.keep - 1 <= plan.keep <= plan.num_tokens
        both = plan_evs(EVSConfig(token_budget=budget, floor=floor, rate=0.5), shapes)
        assert sum(plan.keep for plan in both) <= min(
            spent + len(shapes),
            sum(p.keep for p in plan_evs(EVSConfig(rate=0.5, floor=floor), shapes)),
        )
    assert plan_evs(EVSConfig(token_budget=10**6), [(3, 2, 2)])[0].keeps_all


def test_each_video_in_its_own_way():
    own, shared = EVSConfig(rate=0.5), EVSConfig(token_budget=80)
    shapes = [(10, 2, 2), (20, 2, 2), (30, 2, 2), (2, 1, 1)]
    plans = plan_videos(shapes, [own, shared, shared, None])
    assert [plan.keep for plan in plans] == [20, 32, 48, 2]
    assert plan_videos(shapes, [None, EVSConfig(), EVSConfig(rate=0), None]) == ()


def test_half_precision_is_compared_in_single():
    video = tokens((3, 2, 2)).bfloat16()
    assert dissimilarity(video).dtype == torch.float32
    assert torch.equal(dissimilarity(video), dissimilarity(video.float()))


def test_what_cannot_be():
    for wrong in (1.0, -0.1, True, "0.5", math.nan):
        with pytest.raises(ConfigError, match="EVS rate is"):
            EVSConfig(rate=wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="token_budget of EVS is 0"):
        EVSConfig(token_budget=0)
    with pytest.raises(ConfigError, match="threshold is 3"):
        EVSConfig(threshold=3)
    with pytest.raises(ConfigError, match="floor is 1.5"):
        EVSConfig(floor=1.5)
    with pytest.raises(PromptError, match="budget of 30 cannot hold the 2 videos: 32 visual"):
        plan_evs(EVSConfig(token_budget=30), [(2, 4, 4), (3, 4, 4)])
    with pytest.raises(InputError, match=r"video of \(2, 4, 4\).*but the video has \(2, 4, 5\)"):
        retention_mask(torch.zeros(2, 4, 5, 3), EVSPlan(shape=(2, 4, 4), keep=20))
