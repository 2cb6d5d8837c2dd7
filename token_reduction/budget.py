"""The one counter: how many visual tokens something costs, from geometry alone."""

import math
from collections.abc import Iterable, Sequence
from typing import Protocol

from ..errors import InputError, PromptError
from .evs import EVSConfig, EVSPlan
from .tubelets import Tubelets


class PictureRule(Protocol):
    """How pictures are resized and cut: `DynamicResolution` or `Tiling`."""

    @property
    def merge_size(self) -> int: ...

    def grids(self, height: int, width: int, num_images: int = 1) -> list[tuple[int, int]]:
        """Patch rows and columns of everything the tower sees of one picture."""
        ...


def grid_tokens(rows: int, cols: int, merge_size: int = 2) -> int:
    """Visual tokens of a patch grid after pixel shuffle."""
    return (rows // merge_size) * (cols // merge_size)


def image_tokens(rule: PictureRule, height: int, width: int, num_images: int = 1) -> int:
    """Visual tokens of an image of `height` x `width` pixels among `num_images` of one prompt.

    Raises:
        InputError: a side is not positive.
    """
    grids = rule.grids(height, width, num_images)
    return sum(grid_tokens(rows, cols, rule.merge_size) for rows, cols in grids)


def video_shape(rule: Tubelets, num_frames: int, height: int, width: int) -> tuple[int, int, int]:
    """Visual tokens of a video: tubelets, and rows and columns of tokens in each.

    Raises:
        InputError: there is no frame, or a side is not positive.
    """
    rows, cols = rule.grid(height, width)
    return rule.num_tubelets(num_frames), rows // rule.merge_size, cols // rule.merge_size


def video_tokens(rule: Tubelets, num_frames: int, height: int, width: int) -> int:
    """Visual tokens of a video of `num_frames` frames of `height` x `width` pixels.

    Raises:
        InputError: there is no frame, or a side is not positive.
    """
    tubelets, rows, cols = video_shape(rule, num_frames, height, width)
    return tubelets * rows * cols


def most_frames(rule: Tubelets, token_budget: int, height: int, width: int) -> int:
    """The most frames of `height` x `width` pixels whose visual tokens fit `token_budget`.

    Raises:
        InputError: not even one frame fits.
    """
    tubelet = video_tokens(rule, 1, height, width)
    if tubelet > token_budget:
        raise InputError(
            f"One frame of {width} x {height} pixels takes {tubelet} visual tokens, more than the "
            f"budget of {token_budget}."
        )
    return token_budget // tubelet * rule.frames_per_tubelet


def plan_evs(config: EVSConfig, shapes: Sequence[tuple[int, int, int]]) -> tuple[EVSPlan, ...]:
    """What EVS keeps of the videos of one prompt: exact, and with a threshold the most.

    By rate, of a video of T tubelets of n tokens it is `max(n, int(T * n * (1 - rate)))`, as
    published. A budget is shared out by one rate for all, but for videos that need more for
    their first tubelets and their floor.

    Args:
        shapes: visual tokens of each video as tubelets, rows and columns.

    Raises:
        PromptError: the budget cannot hold what stays in any case.
    """
    totals = [t * h * w for t, h, w in shapes]
    floors = [math.ceil(config.floor * h * w) for _, h, w in shapes]
    least = least_tokens(config, shapes)
    keeps = [
        max(low, int(total * (1 - config.rate))) for low, total in zip(least, totals, strict=True)
    ]
    budget = config.token_budget
    if budget is not None and sum(keeps) > budget:
        keeps = _share_out(budget, totals, least)
    return tuple(
        EVSPlan(shape=shape, keep=keep, threshold=config.threshold, floor=floor)
        for shape, keep, floor in zip(shapes, keeps, floors, strict=True)
    )


def least_tokens(config: EVSConfig, shapes: Sequence[tuple[int, int, int]]) -> list[int]:
    """What stays of each video in any case: its first tubelet, and the floor of the others."""
    return [h * w + (t - 1) * math.ceil(config.floor * h * w) for t, h, w in shapes]


def plan_videos(
    shapes: Sequence[tuple[int, int, int]], configs: Sequence[EVSConfig | None]
) -> tuple[EVSPlan, ...]:
    """`plan_evs` for videos that may each be asked for in another way.

    Videos of one configuration share its budget.

    Returns:
        One plan a video; none at all if every token stays.

    Raises:
        PromptError: as `plan_evs`.
    """
    plans: dict[int, EVSPlan] = {}
    for config in dict.fromkeys(configs):
        members = [idx for idx, each in enumerate(configs) if each == config]
        found = plan_evs(config or EVSConfig(), [shapes[idx] for idx in members])
        plans.update(zip(members, found, strict=True))
    if all(plan.keeps_all for plan in plans.values()):
        return ()
    return tuple(plans[idx] for idx in range(len(shapes)))


def dropped_tokens(plans: Iterable[EVSPlan]) -> int:
    """Visual tokens that are dropped by these plans: exactly, and with a threshold the least."""
    return sum(plan.num_tokens - plan.keep for plan in plans)


def _share_out(budget: int, totals: Sequence[int], least: Sequence[int]) -> list[int]:
    """The same share of each total, but not under its least; together at most the budget."""
    if sum(least) > budget:
        whose = "the video" if len(totals) == 1 else f"the {len(totals)} videos"
        raise PromptError(
            f"A token_budget of {budget} cannot hold {whose}: {sum(least)} visual tokens stay in "
            "any case (first tubelets and floor); raise it, or give fewer or smaller videos."
        )
    bound: set[int] = set()
    while len(bound) < len(totals):
        left = budget - sum(least[idx] for idx in bound)
        total = sum(total for idx, total in enumerate(totals) if idx not in bound)
        too_low = {
            idx
            for idx, each in enumerate(totals)
            if idx not in bound and each * left // total < least[idx]
        }
        if not too_low:
            return [
                least[idx] if idx in bound else each * left // total
                for idx, each in enumerate(totals)
            ]
        bound |= too_low
    return list(least)
