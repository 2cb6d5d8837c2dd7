"""How right an answer is: exact match, ANLS and character error rate.

These are the strict forms: capitals, accents and punctuation count, only white space is forgiven.
"""

from collections.abc import Iterable, Sequence


def normalize(text: str) -> str:
    """The text with outer white space removed and each inner run of it made one space."""
    return " ".join(text.split())


def edit_distance(a: str, b: str) -> int:
    """Levenshtein distance: the fewest single-character insertions, deletions and changes.

    V. I. Levenshtein, "Binary codes capable of correcting deletions, insertions, and reversals",
    Soviet Physics Doklady 10 (1966); computed row by row as by R. A. Wagner and M. J. Fischer,
    "The string-to-string correction problem", Journal of the ACM 21 (1974).
    """
    if len(a) < len(b):
        a, b = b, a
    above = list(range(len(b) + 1))
    for row, char_a in enumerate(a, start=1):
        current = [row]
        for column, char_b in enumerate(b, start=1):
            change = above[column - 1] + (char_a != char_b)
            current.append(min(above[column] + 1, current[-1] + 1, change))
        above = current
    return above[-1]


def exact_match(prediction: str, golds: Sequence[str]) -> bool:
    """Whether the normalized prediction equals one of the normalized golds; an empty one never."""
    predicted = normalize(prediction)
    return predicted != "" and any(predicted == normalize(gold) for gold in golds)


def anls(prediction: str, golds: Sequence[str], *, threshold: float = 0.5) -> float:
    """Average normalized Levenshtein similarity, for one question: in [0, 1].

    One minus the distance to the nearest gold, divided by the length of the longer of the two;
    0 if that is below `threshold`. A. F. Biten et al., "Scene text visual question answering",
    ICCV 2019, section 4. Theirs ignores capitals; this one does not.
    """
    predicted = normalize(prediction)
    if not predicted:
        return 0.0
    best = 0.0
    for gold in map(normalize, golds):
        longest = max(len(predicted), len(gold))
        best = max(best, 1 - edit_distance(predicted, gold) / longest)
    return best if best >= threshold else 0.0


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
