"""Relaxed accuracy of ChartQA: a number may be off by a twentieth.

A. Masry et al., "ChartQA", Findings of ACL 2022, section 5.1, after N. Methani et al. (PlotQA).
"""

import re

from .edits import normalize
from .grade import Gold, Metric, Profile

_TOLERANCE = 0.05
_CURRENCY = "$€£¥"
_NUMBER = re.compile(r"[-+−]?(\d{1,3}(,\d{3})+|\d+)?(\.\d+)?")


def relaxed_match(prediction: str, gold: str) -> bool:
    """As Pix2Struct's code, which ChartQA is scored with, and both kits' have it.

    A gold of 0 is compared as text, so "0.0" is wrong for "0"; a percent sign divides by 100, so
    "5" is wrong for "5%"; "1,000" and "$5" are no numbers.
    """
    predicted, expected = _number(prediction), _number(gold)
    if predicted is not None and expected:
        return abs(predicted - expected) / abs(expected) <= _TOLERANCE
    return prediction.lower() == gold.lower()


def _number(text: str) -> float | None:
    try:
        return float(text.rstrip("%")) / 100.0 if text.endswith("%") else float(text)
    except ValueError:
        return None


def strict_match(prediction: str, gold: str) -> bool:
    """The same tolerance, for every way to write a number.

    Thousands separators, currency signs and a final period are no part of the value, and a percent
    sign may stand on one side alone. Texts must be equal but for capitals and a final period.
    """
    predicted, expected = _plain(prediction), _plain(gold)
    if predicted == expected:
        return True
    return any(
        abs(value - target) <= _TOLERANCE * abs(target)
        for value in _readings(predicted)
        for target in _readings(expected)
    )


def _plain(text: str) -> str:
    return normalize(text).casefold().removesuffix(".")


def _readings(text: str) -> list[float]:
    """What a text may mean as a number: "5%" is 0.05, and 5 where the unit was in the question."""
    is_percent = text.endswith("%")
    digits = text.removesuffix("%").strip()
    sign = "-" if digits[:1] in ("-", "−") else ""
    digits = digits.lstrip("-−+" + _CURRENCY + " ").rstrip(_CURRENCY + " ")
    if not digits or not _NUMBER.fullmatch(digits):
        return []
    value = float(sign + digits.replace(",", ""))
    return [value, value / 100] if is_percent else [value]


def _as_written(prediction: str, gold: Gold) -> float:
    return float(any(relaxed_match(prediction, answer) for answer in gold.answers))


def _stripped(prediction: str, gold: Gold) -> float:
    return _as_written(prediction.strip(), gold)


def _strict(prediction: str, gold: Gold) -> float:
    return float(any(strict_match(prediction, answer) for answer in gold.answers))


RELAXED_ACCURACY = Metric(
    name="relaxed accuracy",
    graders={
        Profile.LMMS_EVAL: _as_written,
        Profile.VLMEVALKIT: _stripped,
        Profile.OFFICIAL: _as_written,
        Profile.STRICT: _strict,
    },
)
