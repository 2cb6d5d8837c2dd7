"""Multiple choice: AI2D, MMMU, Video-MME (v1, v2), MLVU, MVBench, LongVideoBench, EgoSchema.

What the benchmarks differ in is only how a letter is read from the reply (`eval/extract.py`).
VLMEvalKit's rules are those of its `exact_matching`, which asks no judge model.
"""

import re
from collections.abc import Callable, Sequence
from string import ascii_uppercase

from ...errors import DataError
from ..extract import (
    LMMS_EVAL_FORMS,
    MMMU_FORMS,
    bracketed_or_last,
    earliest_letter,
    first_letter,
    inferred_letter,
    ranked_letter,
    strict_letter,
)
from .exact_match import plain
from .grade import Gold, Grade, Grader, Metric, Profile, unparsed
from .vqa_accuracy import without_punctuation

Reader = Callable[[str, Gold], str | None]

_HEAD = re.compile(r"^\s*([A-Z])\.")
_OPTION = re.compile(r"^([A-E])\.\s*(.+)$", re.IGNORECASE)
_LONE_LETTER = re.compile(r"\b([A-E])\b", re.IGNORECASE)
_ANSWER_IS = (
    "The best answer is",
    "The correct answer is",
    "The answer is",
    "The answer",
)
_LABELS = ("Answer:", "Option:")
_BEST = ("The best option is", "The correct option is", "Best answer:", "Best option:")
# Two commas are missing in the authors' list and in VLMEvalKit's: two phrases are never met.
_FUSED = (_BEST[0] + _BEST[1], _BEST[2] + _BEST[3])


def _by(reader: Reader, *, guesses: bool = False) -> Grader:
    """The grader that takes the letter which `reader` finds.

    Args:
        guesses: whether the kit draws one of the options at random where there is none.
    """

    def grade(prediction: str, gold: Gold) -> Grade:
        letter = reader(prediction, gold)
        if letter is None:
            return unparsed(chance=1 / len(gold.options) if guesses else 0.0)
        return Grade(score=float(letter == gold.answers[0]), taken=letter)

    return grade


def checked(grader: Grader) -> Grader:
    """The kits give 0 to every reply if the gold names no option; that is a fault of the row."""

    def grade(prediction: str, gold: Gold) -> Grade | float:
        letters = tuple(ascii_uppercase[: len(gold.options)])
        if not gold.answers or gold.answers[0] not in letters:
            raise DataError(
                f"Multiple choice needs the letter of an option as its gold answer; Gold.answers "
                f"is {gold.answers!r} with {len(gold.options)} options."
            )
        return grader(prediction, gold)

    return grade


def stated_letter(prediction: str, gold: Gold) -> Grade:
    """The strict rule of every choice among lettered options."""
    letter = strict_letter(prediction, gold.options)
    return Grade(score=float(letter == gold.answers[0]), taken=letter) if letter else unparsed()


def _inferred(prediction: str, gold: Gold) -> str | None:
    return inferred_letter(prediction, gold.options)


def _ranked_among_options(prediction: str, gold: Gold) -> str | None:
    return ranked_letter(prediction, ascii_uppercase[: len(gold.options)])


def _earliest(prediction: str, gold: Gold) -> str | None:
    """EgoSchema's options carry their letters."""
    letters = ascii_uppercase[: len(gold.options)]
    texts = [f"{letter}. {text}" for letter, text in zip(letters, gold.options, strict=True)]
    return earliest_letter(prediction, texts)


def _first(letters: str, dropped: tuple[str, ...]) -> Reader:
    return lambda prediction, gold: first_letter(prediction, letters, dropped)


def _first_or_inferred(letters: str, dropped: tuple[str, ...]) -> Reader:
    def read(prediction: str, gold: Gold) -> str | None:
        trimmed = [option.strip(". \n") for option in gold.options]
        first = first_letter(prediction, letters, dropped)
        return first or inferred_letter(prediction, trimmed)

    return read


def _ranked(letters: str) -> Reader:
    return lambda prediction, gold: ranked_letter(prediction, letters)


def _ai2d_lmms(prediction: str, gold: Gold) -> Grade:
    """The letter before a period at the start, else the whole reply."""
    head = _HEAD.match(prediction)
    taken = head.group(1) if head else prediction
    return Grade(score=float(plain(taken) == plain(gold.answers[0])), taken=taken)


def _mvbench_lmms(prediction: str, gold: Gold) -> Grade:
    """The article "a" is read as option A, and an empty reply leaves the denominator."""
    taken = _mvbench_form(prediction)
    score = float(taken == _mvbench_form(gold.answers[0]))
    return Grade(score=score, taken=taken, counts=prediction != "")


def _mvbench_form(text: str) -> str:
    option = _OPTION.match(text.strip())
    if option:
        return option.group(1).upper()
    text = without_punctuation(text.replace("\n", " ").replace("\t", " ").strip())
    for mark in "'\")(":
        text = text.strip(mark)
    text = text.strip().lower()
    letter = _LONE_LETTER.search(text)
    return letter.group(1).upper() if letter else text


def _mvbench_first_word(prediction: str, gold: Gold) -> bool:
    """Whether the reply's first word is a part of "(b)", or has it: an empty word is right."""
    word, right = prediction.lower().split(" ")[0], f"({gold.answers[0].lower()})"
    return word.replace(".", "") in right or right in word


def _mvbench_official(prediction: str, gold: Gold) -> float:
    return float(_mvbench_first_word(prediction, gold))


def _mvbench_vlmevalkit(prediction: str, gold: Gold) -> Grade | float:
    if _mvbench_first_word(prediction.strip(), gold):
        return Grade(score=1.0, taken=gold.answers[0])
    return _by(_inferred)(prediction, gold)


def _before_bracket(prediction: str, gold: Gold) -> str | None:
    """The character before the first ")", if it is the right one; else what can be inferred."""
    end = prediction.find(")")
    taken = prediction[end - 1 : end] if end >= 0 else prediction
    return taken if taken == gold.answers[0] else _inferred(prediction, gold)


def _mlvu_official(prediction: str, gold: Gold) -> Grade:
    end = prediction.find(")")
    taken = prediction[end - 1 : end] if end >= 0 else prediction
    if taken not in list(ascii_uppercase):
        return unparsed()
    return Grade(score=float(taken == gold.answers[0]), taken=taken)


def _bracketed(forms: Sequence[tuple[str, str]]) -> Reader:
    return lambda prediction, gold: bracketed_or_last(prediction, gold.options, forms)


def _metric(name: str, lmms_eval: Grader, vlmevalkit: Grader, official: Grader) -> Metric:
    graders = {
        Profile.LMMS_EVAL: lmms_eval,
        Profile.VLMEVALKIT: vlmevalkit,
        Profile.OFFICIAL: official,
        Profile.STRICT: stated_letter,
    }
    return Metric(name=name, graders={key: checked(each) for key, each in graders.items()})


_LVB = (*_ANSWER_IS, *_BEST)
_V1 = (*_ANSWER_IS, *_FUSED, *_LABELS)
_V2 = ("Final Answer:", *_ANSWER_IS, *_BEST, *_LABELS)

AI2D = _metric("AI2D", _ai2d_lmms, _by(_inferred), _ai2d_lmms)
MMMU = _metric(
    "MMMU",
    _by(_bracketed(LMMS_EVAL_FORMS), guesses=True),
    _by(_inferred),
    _by(_bracketed(MMMU_FORMS), guesses=True),
)
VIDEO_MME = _metric(
    "Video-MME",
    _by(_ranked("ABCD")),
    _by(_first_or_inferred("ABCD", _V1)),
    _by(_first("ABCD", (*_ANSWER_IS, *_FUSED))),
)
VIDEO_MME_V2 = _metric(
    "Video-MME v2",
    _by(_first("ABCDEFGH", _V2)),
    _by(_first_or_inferred("ABCDEFGH", _V2)),
    _by(_first("ABCDEFGH", _V2)),
)
MLVU = _metric("MLVU", _by(_ranked("ABCD")), _by(_before_bracket), _mlvu_official)
MVBENCH = _metric("MVBench", _mvbench_lmms, _mvbench_vlmevalkit, _mvbench_official)
LONGVIDEOBENCH = _metric(
    "LongVideoBench",
    _by(_first("ABCDE", _LVB), guesses=True),
    _by(_first_or_inferred("ABCDE", _V1)),
    _by(_first("ABCDE", _LVB), guesses=True),
)
EGOSCHEMA = Metric(
    name="EgoSchema",
    graders={
        Profile.LMMS_EVAL: checked(_by(_earliest, guesses=True)),
        Profile.STRICT: checked(stated_letter),
    },
)
# A choice whose benchmark has no rules of its own: the kits' rules for any.
CHOICE = Metric(
    name="multiple choice",
    graders={
        Profile.LMMS_EVAL: checked(_by(_ranked_among_options)),
        Profile.VLMEVALKIT: checked(_by(_inferred)),
        Profile.STRICT: checked(stated_letter),
    },
)
