"""OCRBench: the gold stands somewhere in the reply.

Y. Liu et al., "OCRBench: on the hidden mystery of OCR in large multimodal models", Science China
Information Sciences 67 (2024), section 3.2. The score is how many of the 1,000 are right.
"""

from collections.abc import Callable

from .grade import Gold, Metric, Profile

_ASCII_OF_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: " "}


def holds(prediction: str, answer: str) -> bool:
    """Whether the answer stands in the prediction as a whole: not "12" in "2012", nor "cat" in
    "category". An empty answer stands nowhere."""
    start = prediction.find(answer) if answer else -1
    while start >= 0:
        end = start + len(answer)
        if not _runs_on(prediction, start) and not _runs_on(prediction, end):
            return True
        start = prediction.find(answer, start + 1)
    return False


def _runs_on(text: str, at: int) -> bool:
    """Whether a word or number of ASCII goes on across this place. Chinese has no such places."""
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    return all(char.isascii() and char.isalnum() for char in (before, after))


def formula_form(text: str) -> str:
    return text.strip().replace("\n", " ").replace(" ", "")


def _lower(text: str) -> str:
    return text.lower().strip().replace("\n", " ")


def _half_width(text: str) -> str:
    return _lower(text.translate(_ASCII_OF_WIDE))


def _grader(
    form: Callable[[str], str], found: Callable[[str, str], bool]
) -> Callable[[str, Gold], float]:
    def grade(prediction: str, gold: Gold) -> float:
        shape = formula_form if gold.kind == "formula" else form
        predicted = shape(prediction.strip())
        return float(any(found(predicted, shape(answer)) for answer in gold.answers))

    return grade


def _within(prediction: str, answer: str) -> bool:
    return answer in prediction


OCRBENCH = Metric(
    name="OCRBench",
    graders={
        Profile.LMMS_EVAL: _grader(_half_width, _within),
        Profile.VLMEVALKIT: _grader(_lower, _within),
        Profile.OFFICIAL: _grader(_lower, _within),
        Profile.STRICT: _grader(_half_width, holds),
    },
)
