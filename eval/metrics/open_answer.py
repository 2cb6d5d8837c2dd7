"""MMMU's open questions: a number or a phrase, found anywhere in what the reply concludes with.

X. Yue et al., "MMMU", CVPR 2024, section 4.1, and the authors' evaluation.
"""

import re

from ..extract import inferred_letter, without_thinking
from .grade import Gold, Grade, Metric, Profile, unparsed

_WITH_COMMAS = re.compile(r"-?\b\d{1,3}(?:,\d{3})+\b")
_SCIENTIFIC = re.compile(r"-?\d+(?:\.\d+)?[eE][+-]?\d+")
_PLAIN = re.compile(r"-?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d])")
_SIGNS = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")
_MARKS = {":", ",", ".", "!", "?", ";", "'"}


def _value(text: str) -> float | str:
    """A number rounded to cents, or the text in small letters."""
    text = text.strip()
    try:
        return round(float(text.replace(",", "")), 2)
    except ValueError:
        return text.lower()


def _forms(text: str) -> tuple[str, ...]:
    """How a text is looked for: one letter only beside a blank."""
    return (f" {text}", f"{text} ") if len(text) == 1 else (text,)


def _conclusions(reply: str) -> list[str]:
    """The shortest tail of each line after a word that announces an answer; else all of it."""
    reply = reply.strip().strip(".").lower()
    lines = reply.split("\n")
    found = []
    for number, line in enumerate(lines):
        signs = (*_SIGNS, "=") if number == len(lines) - 1 else _SIGNS
        shortest = ""
        for sign in signs:
            if sign in line:
                tail = line.split(sign)[-1].strip()
                # An empty tail is no answer: the next one takes its place, whatever its length.
                if not shortest or len(tail) < len(shortest):
                    shortest = tail
        if shortest and shortest not in _MARKS:
            found.append(shortest)
    return found or [reply]


def candidates(reply: str) -> tuple[set[float], set[str]]:
    """Every number and every text that the reply may mean as its answer."""
    texts = _conclusions(reply)
    pieces = list(texts)
    for text in texts:
        for pattern in (_WITH_COMMAS, _SCIENTIFIC, _PLAIN):
            pieces += pattern.findall(text)
    numbers: set[float] = set()
    phrases: set[str] = set()
    for piece in pieces:
        value = _value(piece)
        if not isinstance(value, str):
            numbers.add(value)
        else:
            phrases |= set(_forms(value))
    return numbers, phrases


def _is_right(reply: str, gold: Gold) -> bool:
    numbers, phrases = candidates(reply)
    for answer in gold.answers:
        value = _value(answer)
        if not isinstance(value, str):
            if value in numbers:
                return True
        elif any(form in phrase for form in _forms(value) for phrase in phrases):
            return True
    return False


def _official(prediction: str, gold: Gold) -> float:
    return float(_is_right(prediction, gold))


def _lmms_eval(prediction: str, gold: Gold) -> float:
    """Always wrong: the candidates are made one text and then gone through letter by letter."""
    return 0.0


def _vlmevalkit(prediction: str, gold: Gold) -> Grade:
    """The question becomes a choice between the answer and "Other Answers"."""
    letter = inferred_letter(prediction, (gold.answers[0], "Other Answers"))
    return Grade(score=float(letter == "A"), taken=letter) if letter else unparsed()


def _strict(prediction: str, gold: Gold) -> float | Grade:
    """The authors' rule for the reply without its reasoning, for whole words only."""
    reply = without_thinking(prediction)
    if not reply:
        return unparsed()
    numbers, phrases = candidates(reply)
    for answer in gold.answers:
        value = _value(answer)
        if not isinstance(value, str):
            if value in numbers:
                return 1.0
        elif any(re.search(rf"(?<!\w){re.escape(value)}(?!\w)", phrase) for phrase in phrases):
            return 1.0
    return 0.0


OPEN_ANSWER = Metric(
    name="MMMU open answer",
    graders={
        Profile.LMMS_EVAL: _lmms_eval,
        Profile.VLMEVALKIT: _vlmevalkit,
        Profile.OFFICIAL: _official,
        Profile.STRICT: _strict,
    },
)
