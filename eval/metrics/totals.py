"""Benchmark scores that are no plain mean over samples: MLVU's, and Video-MME v2's groups."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from ...errors import InputError
from .grade import Grade

# Structure of a group's four questions -> how much a chain of so many right ones is worth.
_CHAINS = {
    "[1, 2, 3, 4]": (0, 1 / 16, 4 / 16, 9 / 16, 1),
    "[1, [2, 3], 4]": (0, 1 / 12, 4 / 12, 7 / 12, 1),
    "[[1, 2], 3, 4]": (0, 1 / 10, 2 / 10, 5 / 10, 1),
}
# Structure -> (length of a chain that may go on past a wrong question, which must be right then).
_BRANCHES = {"[1, [2, 3], 4]": (1, 2), "[[1, 2], 3, 4]": (0, 1)}


def macro_mean(graded: Iterable[tuple[str, Grade]]) -> float:
    """The mean over kinds of the mean score of each: MLVU's M-Avg.

    Args:
        graded: (kind, grade) of every sample. lmms-eval also counts each of MLVU's kinds that has
            no sample, as 0.
    """
    kinds: dict[str, list[float]] = defaultdict(list)
    for kind, grade in graded:
        kinds[kind].append(grade.score)
    means = [sum(scores) / len(scores) for scores in kinds.values()]
    return sum(means) / len(means) if means else 0.0


def relevance_score(right: Sequence[bool]) -> float:
    """What a Video-MME v2 group of four related questions is worth: the share, squared."""
    return (sum(right) / 4) ** 2


def logic_score(right: Sequence[bool], structure: str) -> float:
    """What a Video-MME v2 group of four questions that build on each other is worth, in [0, 1].

    Only the questions up to the first wrong one count, but one of two side by side is enough to
    start or go on by one step.

    Args:
        right: whether each of the four, in order, is right.
        structure: how they build on each other, as the benchmark writes it: `[1, [2, 3], 4]`.
    """
    if structure not in _CHAINS:
        raise InputError(
            f"Video-MME v2 has no structure {structure!r}; it has {', '.join(_CHAINS)}."
        )
    chain = next((idx for idx, value in enumerate(right) if not value), len(right))
    if structure in _BRANCHES:
        length, needed = _BRANCHES[structure]
        chain += chain == length and right[needed]
    return _CHAINS[structure][chain]
