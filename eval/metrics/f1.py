"""Word F1, as SQuAD defines it.

P. Rajpurkar et al., "SQuAD: 100,000+ questions for machine comprehension of text", EMNLP 2016,
section 6.1: articles, punctuation and capitals are ignored; words count as often as they occur.
"""

import re
import string
from collections import Counter

from .grade import Gold, Metric, Profile

_PUNCTUATION = set(string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def words(text: str) -> list[str]:
    """The words that count."""
    kept = "".join(char for char in text.lower() if char not in _PUNCTUATION)
    return _ARTICLES.sub(" ", kept).split()


def f1(prediction: str, gold: str) -> float:
    """Harmonic mean of precision and recall of the prediction's words; 0 if none is shared."""
    predicted, expected = words(prediction), words(gold)
    shared = sum((Counter(predicted) & Counter(expected)).values())
    if not shared:
        return 0.0
    precision, recall = shared / len(predicted), shared / len(expected)
    return 2 * precision * recall / (precision + recall)


def _best(prediction: str, gold: Gold) -> float:
    return max(f1(prediction, answer) for answer in gold.answers)


F1 = Metric(name="word F1", graders=dict.fromkeys(Profile, _best))
