"""ChartQAPro: relaxed accuracy for numbers, ANLS for texts, item by item for lists.

A. Masry et al., "ChartQAPro", ACL Findings 2025, section 4. `Gold.kind` is the type of question,
`Gold.texts` says YES for each item that is a year and must be exact.
"""

import re
from contextlib import suppress

from ..extract import without_thinking
from .edits import edit_distance, normalize, similarity
from .grade import Gold, Grader, Metric, Profile
from .literal import read_literal
from .relaxed_accuracy import strict_match

_TOLERANCE = 0.05
_EXACT_KINDS = ("Fact Checking", "Multi Choice")
_BRACKETED = re.compile(r"^\[(.*)\]$")
_BARE_WORD = re.compile(r"(?<!['\w])(\w[^,]*?)(?!['\w])")


def _items(text: str) -> list[str]:
    """The items of a list, whether its texts stand in quotes or not; else the text alone."""
    text = text.strip()
    if not (text.startswith("[") and text.endswith("]")):
        return [text]
    try:
        value = read_literal(text)
    except ValueError:
        value = text[1:-1].split(",")
    return [str(each).strip(" '\"") for each in value] if isinstance(value, list) else [text]


def _kit_items(text: str, *, is_gold: bool) -> list[str]:
    """As the authors read a list; only a gold's items may stand without quotes."""
    bare = _BRACKETED.match(text.strip()) if is_gold else None
    written = text
    if bare:
        with suppress(ValueError):
            written = str(read_literal(f"[{_BARE_WORD.sub(_quoted, bare.group(1))}]"))
    try:
        value = read_literal(written)
    except ValueError:
        return [text]
    items = [str(each).strip(" '") for each in value] if isinstance(value, list) else []
    return items or [text]


def _quoted(word: re.Match[str]) -> str:
    return f"'{word.group(1)}'"


def _kit_item(prediction: str, gold: str) -> float:
    """A number within 5%, else ANLS above one half."""
    predicted, expected = (text.strip().strip("%").strip() for text in (prediction, gold))
    try:
        value, target = (float(text.strip("%")) for text in (predicted, expected))
    except ValueError:
        a, b = (" ".join(text.lower().split()) for text in (predicted, expected))
        longest = max(len(a.upper()), len(b.upper()))  # the German sharp s counts twice
        far = edit_distance(a, b) / longest if longest else 0.0
        return 1 - far if far < 0.5 else 0.0
    if target == 0:
        return float(value == 0)
    return float(abs(value - target) / abs(target) <= _TOLERANCE)


def _kit(*, has_exact_kinds: bool, strips: bool) -> Grader:
    """The authors' evaluation, which VLMEvalKit copies and lmms-eval mends.

    Args:
        has_exact_kinds: whether statements and choices must be exact; the authors decide that, but
            do not pass it on.
        strips: whether blanks around reply and gold are taken off first.
    """

    def grade(prediction: str, gold: Gold) -> float:
        texts = (prediction, str(gold.answers[0]))
        if strips:
            texts = (texts[0].strip(), texts[1].strip())
        reply, right = (text.strip(".").strip("\n") for text in texts)
        predicted, expected = _kit_items(reply, is_gold=False), _kit_items(right, is_gold=True)
        is_exact = has_exact_kinds and gold.kind in _EXACT_KINDS
        scores = []
        for idx in range(max(len(predicted), len(expected))):
            if idx >= len(predicted) or idx >= len(expected):
                scores.append(0.0)
            elif is_exact or _is_year(gold, idx, len(expected)):
                scores.append(float(_same(predicted[idx], expected[idx])))
            else:
                scores.append(_kit_item(predicted[idx], expected[idx]))
        return sum(scores) / len(scores)

    return grade


def _is_year(gold: Gold, idx: int, num_items: int) -> bool:
    """Whether an item must be exact; marks for fewer items than there are begin again."""
    marks = gold.texts * num_items if len(gold.texts) < num_items else gold.texts
    return idx < len(marks) and marks[idx].upper() == "YES"


def _same(prediction: str, gold: str) -> bool:
    return prediction.strip().lower() == gold.strip().lower()


def _strict_item(prediction: str, gold: str) -> float:
    if strict_match(prediction, gold):
        return 1.0
    try:
        float(gold.strip().strip("%"))
    except ValueError:
        near = similarity(normalize(prediction).casefold(), normalize(gold).casefold())
        return near if near >= 0.5 else 0.0
    return 0.0


def _strict(prediction: str, gold: Gold) -> float:
    reply = without_thinking(prediction).strip().strip(".").strip("\n")
    predicted, expected = _items(reply), _items(str(gold.answers[0]).strip().strip("."))
    scores = []
    for idx in range(max(len(predicted), len(expected))):
        if idx >= len(predicted) or idx >= len(expected):
            scores.append(0.0)
        elif gold.kind in _EXACT_KINDS or _is_year(gold, idx, len(expected)):
            scores.append(float(_same(predicted[idx], expected[idx])))
        else:
            scores.append(_strict_item(predicted[idx], expected[idx]))
    return sum(scores) / len(scores)


_AUTHORS = _kit(has_exact_kinds=False, strips=False)
CHARTQAPRO = Metric(
    name="ChartQAPro",
    graders={
        Profile.LMMS_EVAL: _kit(has_exact_kinds=True, strips=True),
        Profile.VLMEVALKIT: _AUTHORS,
        Profile.OFFICIAL: _AUTHORS,
        Profile.STRICT: _strict,
    },
)
