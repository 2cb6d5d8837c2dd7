"""VQA soft accuracy: TextVQA. An answer that three of ten people gave is right.

S. Antol et al., "VQA: Visual question answering", ICCV 2015, section 3; averaged over all choices
of nine of the ten answers, as the challenge's evaluation does.
"""

import re
from collections.abc import Sequence

from ...errors import InputError
from .grade import Gold, Metric, Profile

# Any of these written without one of its apostrophes gets it back. "somebodyd" is the
# evaluation's own slip, and "let's" and "she's" are never mended there.
_CONTRACTIONS = re.findall(
    r"\S+",
    """
ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't
haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've
might've mustn't must've needn't not've o'clock oughtn't 'ow's'at shan't she'd've should've
shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've someone'll
someone's something'd something'd've something'll that's there'd there'd've there're there's they'd
they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's what've
when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't
would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've
""",
)
_MENDED = {"somebody'd": "somebodyd"} | {
    word[:idx] + word[idx + 1 :]: word
    for word in _CONTRACTIONS
    for idx, char in enumerate(word)
    if char == "'"
}
_DIGITS = {
    "none": "0",
    **dict(zero="0", one="1", two="2", three="3", four="4", five="5"),
    **dict(six="6", seven="7", eight="8", nine="9", ten="10"),
}
_ARTICLES = {"a", "an", "the"}
_PUNCTUATION = ';/[]"{}()=+\\_->,<@`?!'
_DIGIT_COMMA = re.compile(r"\d,\d")
_PERIOD = re.compile(r"\.(?!\d)")
_LONE_PERIOD = re.compile(r"(?<!\d)\.(?!\d)")
# The evaluation hands a regular expression's flag to where the count is expected.
_MOST_PERIODS = int(re.UNICODE)


def without_punctuation(text: str, period: re.Pattern[str] = _PERIOD) -> str:
    """A mark goes if it stands at a blank anywhere in the text, and else becomes a blank."""
    all_go = _DIGIT_COMMA.search(text) is not None
    kept = text
    for mark in _PUNCTUATION:
        goes = all_go or f"{mark} " in text or f" {mark}" in text
        kept = kept.replace(mark, "" if goes else " ")
    return period.sub("", kept, count=_MOST_PERIODS)


def _words(text: str) -> str:
    words = (_DIGITS.get(word, word) for word in text.lower().split())
    return " ".join(_MENDED.get(word, word) for word in words if word not in _ARTICLES)


def evalai_form(text: str) -> str:
    """The challenge server's form: commas and question marks go first, possessives come apart."""
    text = text.lower().replace(",", "").replace("?", "").replace("'s", " 's").strip()
    text = text.replace("\n", " ").replace("\t", " ").strip()
    return _words(without_punctuation(text))


def vlmevalkit_form(text: str) -> str:
    """VLMEvalKit's form: no such first step, and a period at a digit stays."""
    text = text.replace("\n", " ").replace("\t", " ").strip()
    return _words(without_punctuation(text, _LONE_PERIOD))


def soft_accuracy(prediction: str, golds: Sequence[str]) -> float:
    """Mean over all golds of min(1, a third of how many of the others equal the prediction).

    Raises:
        InputError: there are no golds.
    """
    if not golds:
        raise InputError("VQA accuracy needs the answers of the annotators; Gold.answers is empty.")
    same = [gold == prediction for gold in golds]
    found = sum(same)
    return sum(min(1.0, (found - itself) / 3) for itself in same) / len(same)


def _evalai(prediction: str, gold: Gold) -> float:
    return soft_accuracy(evalai_form(prediction), [evalai_form(text) for text in gold.answers])


def _vlmevalkit(prediction: str, gold: Gold) -> float:
    golds = [vlmevalkit_form(text) for text in gold.answers]
    return soft_accuracy(vlmevalkit_form(prediction), golds)


VQA_ACCURACY = Metric(
    name="VQA accuracy",
    graders={
        Profile.LMMS_EVAL: _evalai,
        Profile.VLMEVALKIT: _vlmevalkit,
        Profile.OFFICIAL: _evalai,
        Profile.STRICT: _evalai,
    },
)
