"""TempCompass: a choice among lettered options, and one among captions.

Captions stand under labels of many forms ("Caption A", "Sentence 1", "Option 2"), which a reply may
repeat. The authors' rules and both kits' are the same, but that the authors take an end mark and
outer blanks off first. A reply that they do not read goes to a judge model there, and is unparsed
here.
"""

import re
from string import ascii_uppercase

from ...errors import DataError
from ..extract import strict_letter, without_end_mark, without_thinking
from .grade import Gold, Grade, Grader, Metric, Profile, unparsed
from .multiple_choice import checked, stated_letter

_LEADING = re.compile(r"([ABCD])(?:\Z|[.)])")
_LABEL_WORDS = re.compile(r"Sentence |Option |Caption ")


def _choice(prediction: str, gold: Gold) -> Grade:
    """The whole option, or a letter at the very beginning."""
    right = gold.answers[0]
    if prediction == f"{right}. {gold.options[ascii_uppercase.index(right)]}":
        return Grade(score=1.0, taken=right)
    found = _LEADING.match(prediction)
    if not found:
        return unparsed()
    return Grade(score=float(found.group(1) == right), taken=found.group(1))


def _caption(prediction: str, gold: Gold) -> Grade:
    """The whole line, the caption alone (also behind a ")"), the label, or the label's last word.

    What is right is told by the text: of two captions that are the same both are right.
    """
    lines = [f"{label}: {text}" for label, text in zip(gold.texts, gold.options, strict=True)]
    captions = [line.split(": ")[1] for line in lines]
    behind = prediction.split(") ")[1] if ") " in prediction else None
    without_dots = prediction.replace(".", "")
    taken = None
    for line in lines:
        taken = line if line == prediction else taken
    for caption in captions:
        taken = caption if caption in (prediction, behind) else taken
    labels = list(gold.texts)
    for label in labels + [_LABEL_WORDS.sub("", label) for label in labels]:
        taken = label if label in (prediction, without_dots) else taken
    if taken is None:
        return unparsed()
    right = ascii_uppercase.index(gold.answers[0])
    label = labels[right]
    is_right = taken in (lines[right], label, captions[right], *label.split()[1:2])
    return Grade(score=float(is_right), taken=taken)


def _strict_caption(prediction: str, gold: Gold) -> Grade:
    """The one caption that a reply states: by its label or that label's letter, or its text."""
    letter = strict_letter(_with_letters(prediction, gold), gold.options)
    if letter is None:
        return unparsed()
    return Grade(score=float(letter == gold.answers[0]), taken=letter)


def _with_letters(prediction: str, gold: Gold) -> str:
    """The reply with letters for labels: "Sentence 2" is "option B", and "2." at its start "B."."""
    letters = {
        label.split()[-1].casefold(): letter
        for letter, label in zip(ascii_uppercase, gold.texts, strict=False)
    }
    names = "|".join(map(re.escape, letters))
    word = r"(?:sentence|option|caption)\s+"
    text = without_thinking(prediction)
    head = re.match(rf"[\s*_`(\[]*(?:{word})?({names})(?=\s*(?:[.:)\]*_`]|$))", text, re.IGNORECASE)
    if head:
        return letters[head.group(1).casefold()] + text[head.end() :]
    return re.sub(
        rf"\b{word}({names})\b",
        lambda found: f"option {letters[found.group(1).casefold()]}",
        text,
        flags=re.IGNORECASE,
    )


def _labelled(grader: Grader) -> Grader:
    def grade(prediction: str, gold: Gold) -> Grade | float:
        if len(gold.texts) != len(gold.options):
            raise DataError(
                "Caption matching needs a label of each caption in Gold.texts; it has "
                f"{len(gold.texts)} for {len(gold.options)} captions."
            )
        return grader(prediction, gold)

    return checked(grade)


def _authors(grader: Grader) -> Grader:
    return lambda prediction, gold: grader(without_end_mark(prediction), gold)


TEMPCOMPASS = Metric(
    name="TempCompass",
    graders={
        Profile.LMMS_EVAL: checked(_choice),
        Profile.VLMEVALKIT: checked(_choice),
        Profile.OFFICIAL: checked(_authors(_choice)),
        Profile.STRICT: checked(stated_letter),
    },
)
CAPTIONS = Metric(
    name="TempCompass captions",
    graders={
        Profile.LMMS_EVAL: _labelled(_caption),
        Profile.VLMEVALKIT: _labelled(_caption),
        Profile.OFFICIAL: _labelled(_authors(_caption)),
        Profile.STRICT: _labelled(_strict_caption),
    },
)
