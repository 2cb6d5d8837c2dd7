"""ChartQAPro: relaxed accuracy for numbers, ANLS for texts, item by item for lists.

A. Masry et al., "ChartQAPro", ACL Findings 2025, section 4. `Gold.kind` is the type of question,
`Gold.texts` says YES for each item that is a year and must be exact.
"""

from ..extract import without_thinking
from .edits import normalize, similarity
from .grade import Gold, Metric, Profile
from .literal import read_literal
from .relaxed_accuracy import strict_match

_TOLERANCE = 0.05
_EXACT_KINDS = ("Fact Checking", "Multi Choice")


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


def _official_item(prediction: str, gold: str) -> float:
    predicted, expected = prediction.strip().strip("%"), gold.strip().strip("%")
    try:
        value, target = float(predicted), float(expected)
    except ValueError:
        near = similarity(predicted.strip().lower(), expected.strip().lower())
        return near if near >= 0.5 else 0.0
    if target == 0:
        return float(value == 0)
    return float(abs(value - target) / abs(target) <= _TOLERANCE)


def _strict_item(prediction: str, gold: str) -> float:
    if strict_match(prediction, gold):
        return 1.0
    try:
        float(gold.strip().strip("%"))
    except ValueError:
        near = similarity(normalize(prediction).casefold(), normalize(gold).casefold())
        return near if near >= 0.5 else 0.0
    return 0.0


def _grader(item_score):
    def grade(prediction: str, gold: Gold) -> float:
        reply = without_thinking(prediction).strip().strip(".").strip("\n")
        predicted, expected = _items(reply), _items(str(gold.answers[0]).strip().strip("."))
        scores = []
        for idx in range(max(len(predicted), len(expected))):
            if idx >= len(predicted) or idx >= len(expected):
                scores.append(0.0)
                continue
            pair = predicted[idx], expected[idx]
            is_year = idx < len(gold.texts) and gold.texts[idx] == "YES"
            if is_year or gold.kind in _EXACT_KINDS:
                scores.append(float(pair[0].strip().lower() == pair[1].strip().lower()))
            else:
                scores.append(item_score(*pair))
        return sum(scores) / len(scores)

    return grade


CHARTQAPRO = Metric(
    name="ChartQAPro",
    graders={Profile.OFFICIAL: _grader(_official_item), Profile.STRICT: _grader(_strict_item)},
)
