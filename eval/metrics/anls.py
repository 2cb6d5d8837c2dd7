"""Average normalized Levenshtein similarity: DocVQA, InfographicVQA and others.

A. F. Biten et al., "Scene text visual question answering", ICCV 2019, section 4.
"""

from collections.abc import Sequence

from .edits import edit_distance, normalize
from .grade import Gold, Metric, Profile


def anls(
    prediction: str, golds: Sequence[str], *, threshold: float = 0.5, ignore_case: bool = False
) -> float:
    """Average normalized Levenshtein similarity, for one question: in [0, 1].

    One minus the distance to the nearest gold, divided by the length of the longer of the two;
    0 if that is below `threshold`. The paper's ignores capitals; this one does if told to.
    """
    predicted = _folded(prediction, ignore_case)
    if not predicted:
        return 0.0
    best = 0.0
    for gold in golds:
        expected = _folded(gold, ignore_case)
        longest = max(len(predicted), len(expected))
        best = max(best, 1 - edit_distance(predicted, expected) / longest)
    return best if best >= threshold else 0.0


def _folded(text: str, ignore_case: bool) -> str:
    return normalize(text.lower() if ignore_case else text)


def raw_length_anls(prediction: str, golds: Sequence[str]) -> float:
    """ANLS as the DocVQA challenge and both kits compute it.

    The distance is between the normalized texts, but it is divided by the longer length of the
    texts *before* white space was normalized: blanks around a wrong answer make it less wrong.
    """
    nearest = min(_share_wrong(prediction, gold) for gold in golds)
    return 1 - nearest if 1 - nearest >= 0.5 else 0.0


def _share_wrong(prediction: str, gold: str) -> float:
    # upper() may lengthen a text: "ß" has the length of "SS" here.
    longest = max(len(prediction.upper()), len(gold.upper()))
    if not longest:
        return 0.0
    return edit_distance(_folded(gold, True), _folded(prediction, True)) / longest


def _raw(prediction: str, gold: Gold) -> float:
    return raw_length_anls(prediction, gold.answers)


def _strict(prediction: str, gold: Gold) -> float:
    return anls(prediction, gold.answers, ignore_case=True)


ANLS = Metric(
    name="ANLS",
    graders={
        Profile.LMMS_EVAL: _raw,
        Profile.VLMEVALKIT: _raw,
        Profile.OFFICIAL: _raw,
        Profile.STRICT: _strict,
    },
)
