"""Text as it stands: normalized white space, edit distance, character error rate."""

from collections.abc import Hashable, Iterable, Sequence

from .grade import Gold, Metric, Profile


def normalize(text: str) -> str:
    """The text with outer white space removed and each inner run of it made one space."""
    return " ".join(text.split())


def edit_distance(a: Sequence[Hashable], b: Sequence[Hashable]) -> int:
    """Levenshtein distance: the fewest single-item insertions, deletions and changes.

    V. I. Levenshtein, "Binary codes capable of correcting deletions, insertions, and reversals",
    Soviet Physics Doklady 10 (1966). Computed a row at a time, each row being two integers with a
    bit for each item of `a` that say where the distance rises and falls along it: H. Hyyrö, "A
    bit-vector algorithm for computing Levenshtein and Damerau edit distances", Nordic Journal of
    Computing 10 (2003), after G. Myers.
    """
    if not a or not b:
        return len(a) or len(b)
    places: dict[Hashable, int] = {}
    for idx, item in enumerate(a):
        places[item] = places.get(item, 0) | 1 << idx
    every, last = (1 << len(a)) - 1, 1 << (len(a) - 1)
    rises, falls, distance = every, 0, len(a)
    for item in b:
        same = places.get(item, 0)
        level = (((same & rises) + rises) ^ rises) | same | falls
        right = falls | (every & ~(level | rises))
        left = rises & level
        distance += bool(right & last) - bool(left & last)
        right = (right << 1 | 1) & every
        rises = (left << 1 & every) | (every & ~(level | right))
        falls = right & level
    return distance


def similarity(a: Sequence[Hashable], b: Sequence[Hashable]) -> float:
    """One minus the edit distance over the longer length; 1 for two empty sequences."""
    longest = max(len(a), len(b))
    return 1 - edit_distance(a, b) / longest if longest else 1.0


def character_error_rate(pairs: Iterable[tuple[str, str]]) -> float:
    """Edits needed over all pairs, divided by the characters of all golds; may exceed 1.

    Args:
        pairs: (prediction, gold); a missing prediction is the empty text, and counts whole.

    S. V. Rice, F. R. Jenkins and T. A. Nartker, "The fifth annual test of OCR accuracy",
    ISRI TR-96-01 (1996), give the accuracy, which is one minus this.
    """
    edits = characters = 0
    for prediction, gold in pairs:
        gold = normalize(gold)
        edits += edit_distance(normalize(prediction), gold)
        characters += len(gold)
    return edits / characters if characters else 0.0


def _nearest(prediction: str, gold: Gold) -> float:
    predicted = normalize(prediction)
    return max(similarity(predicted, normalize(str(answer))) for answer in gold.answers)


EDIT_SIMILARITY = Metric(name="edit similarity", graders=dict.fromkeys(Profile, _nearest))
