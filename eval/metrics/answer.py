"""Whether a short answer says the same as the gold, however it is written.

For one's own documents: "1,234.50 EUR" is "1234.50 EUR", "$5" is "5.00", "yes." is "Yes". A
number must be equal, not near; a unit that both name must be the same.
"""

import re
import unicodedata

from ..extract import without_thinking
from .edits import normalize
from .grade import Gold, Metric, Profile

_NUMBER = re.compile(r"([-+−]?)\s*[$€£¥]?\s*([-+−]?\d[\d,\s' ]*(?:\.\d+)?|\.\d+)")
_GROUPED = re.compile(r"\d{1,3}([,\s' ]\d{3})+(\.\d+)?|\d+(\.\d+)?|\.\d+")
_ENDS = " .,;:!?\"'`*_()[]{}"


def says_the_same(prediction: str, gold: str) -> bool:
    """Whether two short answers are equal but for capitals, outer marks and ways of writing."""
    predicted, expected = _plain(prediction), _plain(gold)
    if not predicted:
        return False
    if predicted == expected:
        return True
    ours, theirs = _value(predicted), _value(expected)
    if ours is None or theirs is None or ours[0] != theirs[0]:
        return False
    return ours[1] == theirs[1] or not ours[1] or not theirs[1]


def _plain(text: str) -> str:
    text = unicodedata.normalize("NFKC", text)
    return normalize(text).casefold().strip(_ENDS)


def _value(text: str) -> tuple[float, str] | None:
    """A number and its unit, if the text is just that."""
    found = _NUMBER.search(text)
    if not found:
        return None
    digits = found.group(2).strip(" ,'").replace("−", "-")
    sign = "-" if found.group(1) in ("-", "−") or digits[:1] == "-" else ""
    digits = digits.lstrip("+-")
    if not _GROUPED.fullmatch(digits):
        return None
    unit = (text[: found.start()] + text[found.end() :]).strip(_ENDS + "$€£¥")
    if any(char.isdigit() for char in unit) or len(unit.split()) > 1:
        return None
    return float(sign + re.sub(r"[,\s' ]", "", digits)), unit


def _grade(prediction: str, gold: Gold) -> float:
    reply = without_thinking(prediction)
    return float(any(says_the_same(reply, str(answer)) for answer in gold.answers))


ANSWER = Metric(name="answer", graders=dict.fromkeys(Profile, _grade))
