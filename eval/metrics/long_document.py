"""MMLongBench-Doc: a rule for each kind of answer.

Y. Ma et al., "MMLongBench-Doc", NeurIPS 2024 (datasets track), appendix B.3. The authors and
VLMEvalKit first have GPT-4 shorten the reply to an answer; none is asked here, so under every
profile the prediction is the answer.
"""

import math
import re
from collections.abc import Callable, Iterable
from typing import Any

from ...errors import InputError
from .edits import edit_distance, normalize, similarity
from .grade import Gold, Grade, Grader, Metric, Profile
from .literal import read_literal

KINDS = ("Int", "Float", "Str", "List", "None")
_UNANSWERABLE = "not answerable"
_IN_BRACKETS = re.compile(r"\s*\([^)]*\)")
_OUTER_QUOTE = re.compile(r"^['\"]|['\"]$")
_NUMBER = re.compile(r"[-+]?\d*\.?\d+")
_EXACT = (
    re.compile(r"\b\d+(-\d+|\s\d+)?\b"),
    re.compile(r"\b\d{4}[-\s]\d{2}[-\s]\d{2}\b"),
    re.compile(r"\b\d{4}[-\s]\d{2}\b"),
    re.compile(r"[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}"),
)
_CURRENCY = "$€£¥"


def _clean(value: Any) -> str:
    """Lower case, without what is in brackets, outer quotes, a dollar sign and a percent sign."""
    text = _IN_BRACKETS.sub("", str(value).lower().strip()).strip()
    return _OUTER_QUOTE.sub("", text).strip().lstrip("$").strip().rstrip("%").strip()


def _must_be_exact(text: str, *, addresses: tuple[str, ...], endings: tuple[str, ...]) -> bool:
    """Whether one wrong letter makes it another thing: an address, a file, a page, a date."""
    return (
        any(part in text for part in (*addresses, "a.m.", "p.m."))
        or text.endswith(endings)
        or text.startswith("page")
        or any(pattern.fullmatch(text) for pattern in _EXACT)
    )


def _above_half(score: float) -> float:
    """ANLS whose threshold is left out: a similarity of exactly one half is none."""
    return score if score > 0.5 else 0.0


def _decimals(value: float) -> int:
    written = str(value)
    return len(written.split(".")[-1]) if "." in written else 3


def _close(prediction: float, gold: float) -> bool:
    """Within 1%, or equal once rounded to the shorter of the two; percent signs do not matter."""
    for target in (gold / 100, gold, gold * 100):
        places = max(min(_decimals(prediction), _decimals(target)), 2)
        if math.isclose(target, prediction, rel_tol=0.01):
            return True
        if round(prediction, places) == round(target, places):
            return True
    return False


# As the authors and VLMEvalKit have it: whatever cannot be read is wrong.


def _official_near(prediction: str, gold: str) -> float:
    # upper() may lengthen a text: "ß" has the length of "SS" here.
    longest = max(len(prediction.upper()), len(gold.upper()))
    return _above_half(1 - edit_distance(prediction, gold) / longest if longest else 1.0)


def _official_exact(text: str) -> bool:
    return _must_be_exact(text, addresses=("https://",), endings=(".py", "ipynb"))


def _official_int(prediction: str, gold: str) -> float:
    return float(int(gold) == int(float(prediction)))


def _official_float(prediction: str, gold: str) -> float:
    return float(_close(float(_clean(prediction)), float(_clean(gold))))


def _official_text(prediction: str, gold: str) -> float:
    predicted, expected = _clean(prediction), _clean(gold)
    if _official_exact(expected):
        return float(predicted == expected)
    return _official_near(predicted, expected)


def _official_list(prediction: str, gold: str) -> float:
    predicted, expected = _official_items(prediction), _official_items(gold)
    if len(predicted) != len(expected):
        return 0.0
    if _is_float(expected[0]) or _official_exact(expected[0]):
        return float("-".join(predicted) == "-".join(expected))
    return min(map(_official_near, predicted, expected))


def _official_items(text: str) -> list[str]:
    value = read_literal(text) if text.startswith("[") else text
    return sorted(_clean(item) for item in (value if isinstance(value, list) else [value]))


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_OFFICIAL: dict[str, Callable[[str, str], float]] = {
    "Int": _official_int,
    "Float": _official_float,
    "Str": _official_text,
}


def _official(prediction: str, gold: Gold) -> float:
    try:
        return _OFFICIAL.get(gold.kind, _official_list)(prediction, gold.answers[0])
    except (ValueError, OverflowError, IndexError):
        return 0.0


# As lmms-eval has it: the first number of the reply is its number.


def _lmms_clean(value: Any) -> str:
    text = _clean(value or "")
    for unit in (" miles", " mile", " million"):
        text = text.removesuffix(unit).strip()
    return normalize(text)


def _lmms_exact(text: str) -> bool:
    return _must_be_exact(text, addresses=("https://", "http://"), endings=(".py", ".ipynb"))


def _first_number(text: str) -> float | None:
    found = _NUMBER.search(text.replace(",", ""))
    return float(found.group()) if found else None


def _lmms_near(prediction: str, gold: str) -> float:
    return _above_half(similarity(prediction, gold))


def _lmms_list(prediction: str, gold: str) -> float:
    predicted, expected = _lmms_items(prediction), _lmms_items(gold)
    if len(predicted) != len(expected):
        return 0.0
    if not expected:
        return 1.0
    if _first_number(expected[0]) is not None or _lmms_exact(expected[0]):
        return float(predicted == expected)
    return min(map(_lmms_near, predicted, expected))


def _lmms_items(text: str) -> list[str]:
    try:
        value = read_literal(text)
    except ValueError:
        value = text
    if value is None:
        return []
    return sorted(
        _lmms_clean(str(item)) for item in (value if isinstance(value, list) else [value])
    )


def _lmms_eval(prediction: str, gold: Gold) -> float:
    prediction, answer = prediction.strip(), gold.answers[0]
    if gold.kind in ("Int", "Float"):
        value, target = _first_number(prediction), _first_number(answer)
        if value is None or target is None:
            return 0.0
        return float(int(value) == int(target) if gold.kind == "Int" else _close(value, target))
    if gold.kind == "List":
        return _lmms_list(prediction, answer)
    predicted = _lmms_clean(prediction)
    if gold.kind == "None":
        return float(predicted == _UNANSWERABLE)
    expected = _lmms_clean(answer)
    if _lmms_exact(expected):
        return float(predicted == expected)
    return _lmms_near(predicted, expected)


def _strict(prediction: str, gold: Gold) -> float | Grade:
    """The authors' rules, but the text must be the number: "1,234", "$5" and "5 %" are numbers."""
    prediction = normalize(prediction).removesuffix(".")
    if gold.kind in ("Int", "Float"):
        prediction = prediction.replace(",", "").lstrip(_CURRENCY).rstrip(_CURRENCY + "% ")
    if gold.kind == "None":
        return float(_clean(prediction) == _UNANSWERABLE)
    return _official(prediction, gold)


def _checked(grader: Grader) -> Grader:
    """An unknown kind would be graded as a list by the authors, as a text by lmms-eval."""

    def grade(prediction: str, gold: Gold) -> Grade | float:
        if gold.kind not in KINDS:
            raise InputError(
                f"MMLongBench-Doc has no answer format {gold.kind!r}; Gold.kind is one of "
                f"{', '.join(KINDS)}."
            )
        return grader(prediction, gold)

    return grade


LONG_DOCUMENT = Metric(
    name="MMLongBench-Doc",
    graders={
        Profile.LMMS_EVAL: _checked(_lmms_eval),
        Profile.VLMEVALKIT: _checked(_official),
        Profile.OFFICIAL: _checked(_official),
        Profile.STRICT: _checked(_strict),
    },
)


def generalized_f1(graded: Iterable[tuple[Grade, str, str]]) -> float:
    """F1 over answerable questions, as the authors report it beside the accuracy.

    Args:
        graded: (grade, prediction, gold answer) of every sample.

    Returns:
        The harmonic mean of the mean score of all questions that have an answer, and of all that
        were answered with something else than "Not answerable".
    """
    answerable: list[float] = []
    answered: list[float] = []
    for grade, prediction, gold in graded:
        if _clean(gold) != _UNANSWERABLE:
            answerable.append(grade.score)
        if _clean(prediction) != _UNANSWERABLE:
            answered.append(grade.score)
    if not sum(answerable) or not sum(answered):
        return 0.0
    recall, precision = sum(answerable) / len(answerable), sum(answered) / len(answered)
    return 2 * recall * precision / (recall + precision)
