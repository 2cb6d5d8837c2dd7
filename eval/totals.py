"""The score of a benchmark, and how sure it is: from the scores of its questions.

Intervals are by the bootstrap over groups (B. Efron, 1979; 1,000 resamples, a fixed seed):
questions about one document or video stand and fall together, so they are drawn together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .metrics.ocrbench_v2 import GROUPS

RESAMPLES = 1000
_SEED = 20_240_817


@dataclass(frozen=True, kw_only=True)
class Scored:
    """The score of one question.

    Attributes:
        counts: False where a profile leaves the question out of its denominator.
    """

    score: float
    kind: str
    group: str
    counts: bool = True


# (sums, counts), each (resamples, kinds), and the kinds -> (resamples,)
Total = Callable[[np.ndarray, np.ndarray, Sequence[str]], np.ndarray]


def mean(sums_RK: np.ndarray, counts_RK: np.ndarray, kinds: Sequence[str]) -> np.ndarray:
    """The mean over questions."""
    return sums_RK.sum(1) / np.maximum(counts_RK.sum(1), 1)


def macro(sums_RK: np.ndarray, counts_RK: np.ndarray, kinds: Sequence[str]) -> np.ndarray:
    """The mean over kinds of the mean of each."""
    there = counts_RK > 0
    means = np.where(there, sums_RK / np.maximum(counts_RK, 1), 0)
    return means.sum(1) / np.maximum(there.sum(1), 1)


def ocrbench_v2(sums_RK: np.ndarray, counts_RK: np.ndarray, kinds: Sequence[str]) -> np.ndarray:
    """The mean of both languages, each the mean of its groups' means, weighted by questions."""
    total, weight = np.zeros(len(sums_RK)), np.zeros(len(sums_RK))
    for language in ("en", "cn"):
        groups: dict[str, list[int]] = {}
        for idx, kind in enumerate(kinds):
            task, _, spoken = kind.rpartition(" ")
            if spoken == language:
                groups.setdefault(GROUPS.get(task, task), []).append(idx)
        if groups:
            sums = np.stack([sums_RK[:, each].sum(1) for each in groups.values()], 1)
            counts = np.stack([counts_RK[:, each].sum(1) for each in groups.values()], 1)
            total += macro(sums, counts, ()) * counts.sum(1)
            weight += counts.sum(1)
    return total / np.maximum(weight, 1)


TOTALS: dict[str, Total] = {"mean": mean, "macro": macro, "ocrbench_v2": ocrbench_v2}


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A score in [0, 1] with the interval that holds it in 95 of 100 cases.

    Resampling a single document or video says nothing of others: the interval is then all there is.
    """

    score: float
    low: float
    high: float
    n: int


def estimate(scored: Sequence[Scored], total: str = "mean") -> Estimate:
    """The score of questions, with its interval."""
    counted = [each for each in scored if each.counts]
    if not counted:
        return Estimate(score=0.0, low=0.0, high=0.0, n=0)
    drawn = _resampled([(each,) for each in counted], [total])
    (values,) = drawn
    return _estimate(values, counted, (0.0, 1.0))


def difference(
    first: Sequence[Scored], second: Sequence[Scored], total: str = "mean"
) -> tuple[Estimate, float]:
    """How much better the second is, question by question the same in both: a paired bootstrap.

    Returns:
        The difference with its interval, and the share of resamples in which it is not above 0.
    """
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a.counts or b.counts]
    if not pairs:
        return Estimate(score=0.0, low=0.0, high=0.0, n=0), 1.0
    ours, theirs = _resampled(pairs, [total, total])
    values = theirs - ours
    found = _estimate(values, [first for first, _ in pairs], (-1.0, 1.0))
    return found, float((values[1:] <= 0).mean())


def _resampled(rows: Sequence[tuple[Scored, ...]], totals: Sequence[str]) -> list[np.ndarray]:
    """For each side the total of all rows, and then of each resample."""
    kinds = sorted({each.kind for each in (row[0] for row in rows)})
    groups = {name: idx for idx, name in enumerate(dict.fromkeys(row[0].group for row in rows))}
    group_of = np.array([groups[row[0].group] for row in rows])
    kind_of = np.array([kinds.index(row[0].kind) for row in rows])
    random = np.random.default_rng(_SEED)
    weights_RG = random.multinomial(
        len(groups), np.full(len(groups), 1 / len(groups)), size=RESAMPLES
    )
    weights_RG = np.concatenate([np.ones((1, len(groups)), dtype=weights_RG.dtype), weights_RG])
    found = []
    for side, name in enumerate(totals):
        sums_GK = np.zeros((len(groups), len(kinds)))
        counts_GK = np.zeros((len(groups), len(kinds)))
        counts = np.array([row[side].counts for row in rows], dtype=float)
        np.add.at(sums_GK, (group_of, kind_of), counts * [row[side].score for row in rows])
        np.add.at(counts_GK, (group_of, kind_of), counts)
        found.append(TOTALS[name](weights_RG @ sums_GK, weights_RG @ counts_GK, kinds))
    return found


def _estimate(values: np.ndarray, rows: Sequence[Scored], bounds: tuple[float, float]) -> Estimate:
    low, high = np.quantile(values[1:], (0.025, 0.975))
    if len({row.group for row in rows}) == 1:
        low, high = bounds
    return Estimate(
        score=round(float(values[0]), 6),
        low=round(float(low), 6),
        high=round(float(high), 6),
        n=len(rows),
    )
