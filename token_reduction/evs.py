"""Efficient Video Sampling: of a video's visual tokens, those that changed most are kept.

The published rule (arXiv:2510.14624): a token's dissimilarity is 1 - cos of it and the token at
the same place one tubelet before; all tokens of the first tubelet count as unlike everything;
the n most dissimilar of the whole clip are kept, in their order. How many that is,
`budget.plan_evs` says before anything is encoded; which, is a function of the content.

Letters: T tubelets, H rows, W columns of visual tokens, D hidden.
"""

import math
import random
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import ConfigError, InputError

FIRST = 255.0  # the dissimilarity of the first tubelet's tokens, beyond any other


@dataclass(frozen=True, kw_only=True)
class EVSConfig:
    """Which of a video's visual tokens are dropped; with no value given, none.

    Example:
        ```python
        import latentvlm

        vlm = latentvlm.load("my-model")
        config = latentvlm.EVSConfig(rate=0.75, floor=0.05)
        print(vlm.ask("What happens?", "clip.mp4", evs=config).usage)
        ```

    Attributes:
        rate: the share dropped of each video, in [0, 1); the published rule. The first tubelet
            stays whole whatever the rate.
        token_budget: the most visual tokens of all videos of a prompt together; the rate that
            gets there is found for them. With `rate` too, the stricter of both counts.
        threshold: also drop tokens whose dissimilarity, from 0 to 2, is below this, so that a
            still clip costs less than `rate` and `token_budget` allow.
        floor: the share of every later tubelet, its most changed tokens, that stays in any case:
            short clips keep more than their first tubelet, and no event is dropped altogether.

    Raises:
        ConfigError: a value cannot be.
    """

    rate: float = 0.0
    token_budget: int | None = None
    threshold: float | None = None
    floor: float = 0.0

    def __post_init__(self) -> None:
        if not _is_number(self.rate) or not 0 <= self.rate < 1:
            raise ConfigError(
                f"The EVS rate is {self.rate!r}; it is the share of tokens dropped, from 0 to "
                "below 1."
            )
        budget = self.token_budget
        if budget is not None and (type(budget) is not int or budget < 1):
            raise ConfigError(
                f"The token_budget of EVS is {budget!r}; give a whole number above 0."
            )
        if self.threshold is not None and (
            not _is_number(self.threshold) or not 0 <= self.threshold <= 2
        ):
            raise ConfigError(f"The EVS threshold is {self.threshold!r}; it lies from 0 to 2.")
        if not _is_number(self.floor) or not 0 <= self.floor <= 1:
            raise ConfigError(
                f"The EVS floor is {self.floor!r}; it is a share of a tubelet, from 0 to 1."
            )

    @property
    def is_off(self) -> bool:
        """Whether nothing is ever dropped."""
        return not self.rate and self.token_budget is None and self.threshold is None


@dataclass(frozen=True, kw_only=True)
class EVSRates:
    """Rates of which training takes another for every packed row.

    Attributes:
        rates: each as likely as the others; one given twice is twice as likely.
        floor: see `EVSConfig`.

    Raises:
        ConfigError: there is no rate, or a value cannot be.
    """

    rates: tuple[float, ...] = (0.0,)
    floor: float = 0.0

    def __post_init__(self) -> None:
        if not self.rates:
            raise ConfigError("The rates of EVS are empty; give at least one, such as [0, 0.75].")
        for rate in self.rates:
            EVSConfig(rate=rate, floor=self.floor)

    @property
    def mildest(self) -> EVSConfig:
        """With the lowest rate: no row of a video has more tokens."""
        return EVSConfig(rate=min(self.rates), floor=self.floor)

    def draw(self, seed: str) -> EVSConfig:
        """One of the rates, a function of the seed alone."""
        return EVSConfig(rate=random.Random(seed).choice(self.rates), floor=self.floor)


@dataclass(frozen=True, kw_only=True)
class EVSPlan:
    """What one video keeps, as far as it is known before the encoder runs.

    Attributes:
        shape: its visual tokens as tubelets, rows and columns.
        keep: how many of them stay; with a threshold, the most that do.
        threshold: see `EVSConfig`.
        floor: tokens of each tubelet after the first that stay in any case.
    """

    shape: tuple[int, int, int]
    keep: int
    threshold: float | None = None
    floor: int = 0

    @property
    def num_tokens(self) -> int:
        """Visual tokens before any is dropped."""
        return math.prod(self.shape)

    @property
    def keeps_all(self) -> bool:
        return self.keep == self.num_tokens and self.threshold is None


def dissimilarity(video_THWD: Tensor) -> Tensor:
    """How unlike its predecessor in time each token is, float32 `(T, H, W)`.

    Computed in float32 from tokens of any type, so that the bits of a token decide and not
    those of the product; tubelet by tubelet, so that no second copy of a long video is made.
    """
    first = torch.full(video_THWD.shape[1:3], FIRST, device=video_THWD.device)
    later = [
        1 - F.cosine_similarity(now.float(), before.float(), dim=-1)
        for before, now in zip(video_THWD, video_THWD[1:], strict=False)
    ]
    return torch.stack([first, *later])


def retention_mask(video_THWD: Tensor, plan: EVSPlan) -> Tensor:
    """Which tokens of a video stay, bool `(T, H, W)`.

    Exactly `plan.keep` of them without a threshold, at most so many with one. Of equals the
    earlier one stays.

    Args:
        video_THWD: visual tokens as the language model would get them.

    Raises:
        InputError: the plan is of a video of another shape.
    """
    if tuple(video_THWD.shape[:3]) != plan.shape:
        raise InputError(
            f"The EVS plan is of a video of {plan.shape} visual tokens (tubelets, rows, columns), "
            f"but the video has {tuple(video_THWD.shape[:3])}."
        )
    if plan.keeps_all:
        return torch.ones(plan.shape, dtype=torch.bool, device=video_THWD.device)
    unlike_TP = dissimilarity(video_THWD).flatten(1)
    in_any_case = torch.zeros_like(unlike_TP, dtype=torch.bool)
    in_any_case[0] = True
    if plan.floor:
        best = unlike_TP[1:].argsort(dim=1, descending=True, stable=True)[:, : plan.floor]
        in_any_case[1:].scatter_(1, best, True)
    rank = unlike_TP.masked_fill(in_any_case, FIRST).flatten()
    order = rank.argsort(descending=True, stable=True)[: plan.keep]
    mask = torch.zeros_like(rank, dtype=torch.bool)
    mask[order] = True
    if plan.threshold is not None:
        mask &= (unlike_TP >= plan.threshold).flatten() | in_any_case.flatten()
    return mask.view(plan.shape)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
