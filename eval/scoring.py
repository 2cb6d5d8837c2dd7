"""From the lines of a run to its scores, under any profile: no model and no benchmark is needed.

No answer is dropped: what is empty, cut off, unparsed or failed is wrong, and is counted. Only a
question whose picture or video cannot be opened is left out, and is counted too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import ConfigError, DataError, InputError
from .benchmarks.question import gold_of
from .metrics import METRICS, Gold, Grade, Outcome, Profile, generalized_f1
from .runner import response_of
from .samples import Response
from .totals import Scored, estimate

FAILED, BAD_MEDIA = "failed", "bad_media"
OUTCOMES = (*map(str, Outcome), FAILED, BAD_MEDIA)


@dataclass(frozen=True, kw_only=True)
class Graded:
    """An answer and its grade.

    Attributes:
        line: what is on disk: the question, the gold, the answer and what it took.
        outcome: one of `OUTCOMES`.
    """

    line: Mapping[str, Any]
    response: Response
    gold: Gold
    grade: Grade
    outcome: str

    @property
    def id(self) -> str:
        return self.response.id

    @property
    def is_right(self) -> bool:
        return self.grade.score >= 0.5

    @property
    def scored(self) -> Scored:
        return Scored(
            score=self.grade.score,
            kind=self.line.get("kind", ""),
            group=self.line.get("group", self.id),
            counts=self.grade.counts,
        )


def grade_lines(
    lines: Iterable[Mapping[str, Any]], profile: Profile | str = Profile.STRICT
) -> list[Graded]:
    """Grades what is on disk.

    Raises:
        ConfigError: a metric has no such profile.
        DataError: a line lacks its gold or its metric.
    """
    graded = []
    for line in lines:
        gold, response = gold_of(line), response_of(line)
        grade, outcome = grade_response(response, gold, line["metric"], profile)
        graded.append(Graded(line=line, response=response, gold=gold, grade=grade, outcome=outcome))
    return graded


def grade_response(
    response: Response, gold: Gold, metric: str, profile: Profile | str
) -> tuple[Grade, str]:
    """The grade of a response, and what became of it; an error is worth nothing in any profile."""
    if response.finish_reason == "error":
        is_bad_media = bool(response.details.get("is_bad_media"))
        return Grade(score=0.0, counts=not is_bad_media), BAD_MEDIA if is_bad_media else FAILED
    try:
        grade = METRICS[metric].grade(
            response.text, gold, profile=profile, is_cut_off=response.is_cut_off
        )
    except ConfigError:
        raise
    except (DataError, InputError) as error:
        raise DataError(f"The answer to {response.id} cannot be graded: {error}") from error
    return grade, str(grade.outcome)


def summarize(
    graded: Sequence[Graded],
    *,
    metric: str,
    total: str = "mean",
    metrics: Sequence[str] = (),
    profile: Profile | str = Profile.STRICT,
) -> dict[str, Any]:
    """The scores of a run, as a value for JSON.

    Returns:
        `score`, `low`, `high` and `n`; `counts` of outcomes, with `chance` (the mean score of the
        guesses that a kit would have drawn); `kinds`, each with its score, interval and counts;
        `further` scores by other metrics; and `cost`.
    """
    whole = estimate([each.scored for each in graded], total)
    kinds = {}
    for kind in sorted({each.line.get("kind", "") for each in graded}):
        of_kind = [each for each in graded if each.line.get("kind", "") == kind]
        kinds[kind] = {
            **asdict(estimate([each.scored for each in of_kind])),
            "counts": count_outcomes(of_kind),
        }
    further: dict[str, Any] = {
        name: _by_metric(graded, name, profile) for name in metrics if name != metric
    }
    if metric == "mmlongbench_doc":
        texts = [(g.grade, g.response.text, str(g.gold.answers[0])) for g in graded]
        further["generalized_f1"] = {"score": round(generalized_f1(texts), 6)}
    return {
        "metric": metric,
        "profile": str(profile),
        "total": total,
        **asdict(whole),
        "counts": count_outcomes(graded),
        "chance": round(sum(g.grade.chance for g in graded) / max(len(graded), 1), 6),
        "kinds": kinds,
        "further": further,
        "cost": _cost(graded),
    }


def count_outcomes(graded: Sequence[Graded]) -> dict[str, int]:
    """How many answers had each outcome, and how many a profile leaves out."""
    counts = {name: sum(each.outcome == name for each in graded) for name in OUTCOMES}
    return {**counts, "not_counted": sum(not each.grade.counts for each in graded)}


def _by_metric(graded: Sequence[Graded], name: str, profile: Profile | str) -> dict[str, Any]:
    scored = [
        Scored(
            score=grade_response(each.response, each.gold, name, profile)[0].score,
            kind=each.line.get("kind", ""),
            group=each.line.get("group", each.id),
        )
        for each in graded
    ]
    return asdict(estimate(scored))


def _cost(graded: Sequence[Graded]) -> dict[str, Any]:
    """Means over the answers that know it."""

    def mean(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return round(sum(known) / len(known), 4) if known else None

    details = [each.response.details for each in graded]
    return {
        "seconds": mean([each.response.seconds for each in graded]),
        "seconds_total": round(sum(each.response.seconds for each in graded), 3),
        "time_to_first_token_s": mean([each.get("time_to_first_token_s") for each in details]),
        "prompt_tokens": mean([each.get("prompt_tokens") for each in details]),
        "visual_tokens": mean([each.get("visual_tokens") for each in details]),
        "visual_tokens_before": mean([each.get("visual_tokens_before") for each in details]),
        "answer_tokens": mean([each.response.answer_tokens for each in graded]),
    }
