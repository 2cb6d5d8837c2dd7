"""What every metric is made of: an answer is graded against a gold under a named profile.

A profile is a set of rules. `lmms-eval` and `vlmevalkit` grade as those two kits do, quirks
included; `official` as the benchmark's own authors do; `strict` is ours: it never guesses and never
drops, so that what is empty, cut off or cannot be read as an answer is wrong, and is said to be.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ...errors import ConfigError, InputError


class Profile(StrEnum):
    """The rules that a score was made under."""

    LMMS_EVAL = "lmms-eval"
    VLMEVALKIT = "vlmevalkit"
    OFFICIAL = "official"
    STRICT = "strict"


class Outcome(StrEnum):
    """What became of an answer."""

    GRADED = "graded"
    EMPTY = "empty"
    UNPARSED = "unparsed"
    CUT_OFF = "cut_off"


@dataclass(frozen=True, kw_only=True)
class Gold:
    """What is right, and what a metric must know of the question.

    Attributes:
        answers: the right answers; for multiple choice one letter. OCRBench v2's key information
            and charts have one mapping here instead.
        options: the texts of the options of a multiple-choice question, A first.
        kind: the question's type where the metric depends on it: MMLongBench-Doc's answer format
            (`Int`, `Float`, `Str`, `List`, `None`), OCRBench's `formula`, OCRBench v2's task type.
        rule: how OCRBench v2 says the answer is to be evaluated; empty if it does not say.
        question: the question's own text; OCRBench v2's tables and short answers depend on it.
        boxes: boxes `(left, top, right, bottom)`, or corner points, as the benchmark has them.
        texts: what is written in each box.

    Raises:
        InputError: one text stands where several belong: it would be read letter by letter.
    """

    answers: tuple[Any, ...] = ()
    options: tuple[str, ...] = ()
    kind: str = ""
    rule: str = ""
    question: str = ""
    boxes: tuple[tuple[int, ...], ...] = ()
    texts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("answers", "options", "texts"):
            if isinstance(value := getattr(self, name), str):
                raise InputError(f"Gold.{name} is the text {value!r}; give a tuple of texts.")


@dataclass(frozen=True, kw_only=True)
class Grade:
    """What one answer is worth.

    Attributes:
        score: 1 is right, 0 wrong.
        outcome: whether the answer could be graded. Under the kits' profiles an empty or a cut-off
            answer is named here too, and its score is still what the kit gives.
        taken: what was read as the answer, where a metric has to find it (a letter).
        chance: the mean score of the guess that the kit draws here at random; 0 if it draws none.
            `score` is 0 then: a guess is no answer.
        counts: False where the kit leaves the sample out of its denominator.
    """

    score: float
    outcome: Outcome = Outcome.GRADED
    taken: str = ""
    chance: float = 0.0
    counts: bool = True


Grader = Callable[[str, Gold], "Grade | float"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric and what it means under each profile."""

    name: str
    graders: Mapping[Profile, Grader]

    def check(self, profile: Profile | str) -> None:
        """Refuse a profile before anything is graded.

        Raises:
            ConfigError: there is none of that name, or not of this metric.
        """
        self._grader(profile)

    def grade(
        self,
        prediction: str,
        gold: Gold,
        *,
        profile: Profile | str = Profile.STRICT,
        is_cut_off: bool = False,
    ) -> Grade:
        """Grade one answer.

        Args:
            prediction: what the model wrote, whole.
            gold: what is right.
            profile: whose rules.
            is_cut_off: whether the answer ended because it had to.

        Raises:
            ConfigError: there is no such profile, or the metric has none of that name.
            InputError: the prediction is no text, or the gold lacks what the metric needs.
        """
        grader = self._grader(profile)
        if not isinstance(prediction, str):
            raise InputError(
                f"{self.name} grades a text, not a {type(prediction).__name__}; give Answer.text."
            )
        is_empty = not prediction.strip()
        if profile == Profile.STRICT and is_cut_off:
            return Grade(score=0.0, outcome=Outcome.CUT_OFF)
        if profile == Profile.STRICT and is_empty:
            return Grade(score=0.0, outcome=Outcome.EMPTY)
        result = grader(prediction, gold)
        grade = result if isinstance(result, Grade) else Grade(score=float(result))
        if is_empty or is_cut_off:
            outcome = Outcome.EMPTY if is_empty else Outcome.CUT_OFF
            return Grade(**{**vars(grade), "outcome": outcome})
        return grade

    def _grader(self, profile: Profile | str) -> Grader:
        try:
            return self.graders[Profile(profile)]
        except ValueError:
            raise ConfigError(
                f"There is no profile {profile!r}; choose one of {', '.join(Profile)}."
            ) from None
        except KeyError:
            raise ConfigError(
                f"{self.name} has no profile {profile!r}; choose one of {', '.join(self.graders)}."
            ) from None


def unparsed(*, chance: float = 0.0, counts: bool = True) -> Grade:
    """The grade of a reply that no answer can be read from."""
    return Grade(score=0.0, outcome=Outcome.UNPARSED, chance=chance, counts=counts)


def mean(grades: Iterable[Grade]) -> float:
    """The mean score of all grades that count; 0 if none does."""
    scores = [grade.score for grade in grades if grade.counts]
    return sum(scores) / len(scores) if scores else 0.0


def outcomes(grades: Iterable[Grade]) -> dict[str, int]:
    """How many answers had each outcome; every outcome is named, also those that never happened."""
    counts = {str(outcome): 0 for outcome in Outcome}
    for grade in grades:
        counts[grade.outcome] += 1
    return counts
