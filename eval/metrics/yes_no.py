"""Yes or no."""

import re

from ..extract import without_end_mark, without_thinking
from .grade import Gold, Grade, Metric, Profile, unparsed

_HEAD = re.compile(r"[\s*_`\"'(\[]*(yes|no)\b(?!\s*(?:,\s*)?(?:or|and)\b)", re.IGNORECASE)


def _beginning(prediction: str, gold: Gold) -> Grade:
    """Both kits' rule without a judge for TempCompass: its beginning, so "Nothing" is no."""
    lower = prediction.lower()
    taken = next((word for word in ("yes", "no") if lower.startswith(word)), "")
    if not taken:
        return unparsed()
    return Grade(score=float(taken == str(gold.answers[0]).lower()), taken=taken)


def _official(prediction: str, gold: Gold) -> Grade:
    """The same of TempCompass's authors, who take outer blanks off first."""
    return _beginning(without_end_mark(prediction), gold)


def _strict(prediction: str, gold: Gold) -> Grade:
    """The word that the reply begins with."""
    found = _HEAD.match(without_thinking(prediction))
    if not found:
        return unparsed()
    taken = found.group(1).lower()
    return Grade(score=float(taken == str(gold.answers[0]).lower()), taken=taken)


YES_NO = Metric(
    name="yes or no",
    graders={
        Profile.LMMS_EVAL: _beginning,
        Profile.VLMEVALKIT: _beginning,
        Profile.OFFICIAL: _official,
        Profile.STRICT: _strict,
    },
)
