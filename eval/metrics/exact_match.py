"""Exact match: the answer is one of the golds, letter for letter."""

import string
from collections.abc import Sequence

from .edits import normalize
from .grade import Gold, Metric, Profile

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def exact_match(prediction: str, golds: Sequence[str]) -> bool:
    """Whether the normalized prediction equals one of the normalized golds; an empty one never.

    Capitals, accents and punctuation count, only white space is forgiven.
    """
    predicted = normalize(prediction)
    return predicted != "" and any(predicted == normalize(gold) for gold in golds)


def plain(text: str) -> str:
    """Lower case, without ASCII punctuation."""
    return text.lower().translate(_NO_PUNCTUATION)


def _strict(prediction: str, gold: Gold) -> float:
    return float(exact_match(prediction, gold.answers))


def _plain_match(prediction: str, gold: Gold) -> float:
    return float(any(plain(prediction) == plain(answer) for answer in gold.answers))


def _lower_match(prediction: str, gold: Gold) -> float:
    predicted = prediction.strip().lower()
    return float(any(predicted == answer.strip().lower() for answer in gold.answers))


EXACT_MATCH = Metric(
    name="exact match",
    graders={
        Profile.LMMS_EVAL: _plain_match,
        Profile.VLMEVALKIT: _lower_match,
        Profile.OFFICIAL: _strict,
        Profile.STRICT: _strict,
    },
)
