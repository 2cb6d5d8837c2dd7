"""Text of a page: the mean of BLEU, METEOR, word F and one minus the character error.

The mean is OCRBench v2's (L. Fu et al., NeurIPS 2025, section 4). BLEU: K. Papineni et al., ACL
2002. METEOR: A. Lavie and A. Agarwal, WMT 2007, with exact words, then stems, then synonyms.
"""

import math
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import MissingDependencyError
from .edits import edit_distance

_CHINESE = re.compile(r"[\u4e00-\u9fa5]")


def _segment(text: str) -> list[str]:
    try:
        import jieba  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise MissingDependencyError(
            'jieba, which cuts Chinese into words, is not installed: pip install "latentvlm[eval]".'
        ) from None
    return jieba.lcut(text)


def _stem(word: str) -> str:
    try:
        from nltk.stem.porter import PorterStemmer
    except ImportError:
        raise MissingDependencyError(
            'METEOR stems words with nltk, which is not installed: pip install "latentvlm[eval]".'
        ) from None
    return PorterStemmer().stem(word)


def _synonyms(word: str) -> set[str]:
    try:
        from nltk.corpus import wordnet

        entries: Any = wordnet.synsets(word)
        names = (name for entry in entries for name in entry.lemma_names())
        return {name for name in names if "_" not in name}
    except (ImportError, LookupError):
        raise MissingDependencyError(
            "METEOR takes synonyms from nltk's WordNet, which is not installed: pip install "
            '"latentvlm[eval]", then python -m nltk.downloader wordnet.'
        ) from None


@dataclass(frozen=True, kw_only=True)
class Language:
    """What the page text's score knows of words.

    Attributes:
        segment: cuts Chinese text into words.
        stem: a word's stem.
        synonyms: all words that may mean the same as a word.
    """

    segment: Callable[[str], list[str]] = _segment
    stem: Callable[[str], str] = _stem
    synonyms: Callable[[str], set[str]] = _synonyms


def page_text_score(prediction: str, gold: str, language: Language) -> float:
    """Mean of BLEU, METEOR, F of the sets of words and one minus the edits over the longer text.

    Raises:
        MissingDependencyError: `language` needs a package that is not installed.
    """
    is_chinese = _CHINESE.search(prediction) or _CHINESE.search(gold)
    cut = language.segment if is_chinese else str.split
    predicted, expected = cut(prediction), cut(gold)
    wrong = edit_distance(prediction, gold) / (max(len(prediction), len(gold)) or 1)
    words = _set_f(set(predicted), set(expected))
    return (
        bleu(predicted, expected) + meteor(predicted, expected, language) + words + 1 - wrong
    ) / 4


def bleu(prediction: Sequence[str], gold: Sequence[str]) -> float:
    """BLEU-4 of one text, not smoothed: where no run of n words is shared, n counts as almost 0."""
    logs = []
    for size in range(1, 5):
        ours, theirs = _runs(prediction, size), _runs(gold, size)
        shared = sum((ours & theirs).values())
        if size == 1 and not shared:
            return 0.0
        logs.append(math.log(shared / ours.total() if shared else sys.float_info.min))
    brevity = min(1.0, math.exp(1 - len(gold) / len(prediction)))
    return brevity * math.exp(math.fsum(value / 4 for value in logs))


def _runs(words: Sequence[str], size: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[at : at + size]) for at in range(len(words) - size + 1))


def meteor(prediction: Sequence[str], gold: Sequence[str], language: Language) -> float:
    """METEOR with its published weights: 0.9 on recall, and up to half off for broken order."""
    ours = dict(enumerate(word.lower() for word in prediction))
    theirs = dict(enumerate(word.lower() for word in gold))
    pairs = _align(ours, theirs, lambda word: {word})
    # What is left is compared by its stem, and so are its synonyms.
    ours = {place: language.stem(word) for place, word in ours.items()}
    theirs = {place: language.stem(word) for place, word in theirs.items()}
    pairs += _align(ours, theirs, lambda word: {word})
    pairs += _align(ours, theirs, lambda word: language.synonyms(word) | {word})
    if not pairs:
        return 0.0
    pairs.sort()
    precision, recall = len(pairs) / len(prediction), len(pairs) / len(gold)
    breaks = sum((a[0] + 1, a[1] + 1) != b for a, b in zip(pairs, pairs[1:], strict=False))
    f_mean = precision * recall / (0.9 * precision + 0.1 * recall)
    return (1 - 0.5 * ((breaks + 1) / len(pairs)) ** 3.0) * f_mean


def _align(
    ours: dict[int, str], theirs: dict[int, str], same: Callable[[str], set[str]]
) -> list[tuple[int, int]]:
    """Pairs of places with the same word, from the end on; they are taken out of both."""
    pairs = []
    for place in sorted(ours, reverse=True) if theirs else ():
        accepted = same(ours[place])
        match = max((at for at, word in theirs.items() if word in accepted), default=None)
        if match is not None:
            pairs.append((place, match))
            del ours[place], theirs[match]
    return pairs


def _set_f(predicted: set[str], expected: set[str]) -> float:
    shared = len(predicted & expected)
    return 2 * shared / (len(predicted) + len(expected)) if shared else 0.0
