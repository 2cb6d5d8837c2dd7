"""Three controls that show whether answers come from the page.

A model that reads loses its right answers when the page is blank or another document's, and gives
the new value when the value asked for is drawn anew. Each control starts from questions that the
model had right.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..data.synthetic import blank, generate, redraw
from ..data.synthetic.questions import NOT_IN_DOCUMENT
from ..errors import ConfigError
from .documents import DocumentSample
from .metrics import exact_match, normalize
from .samples import Request, Response
from .scores import is_right

# Kinds whose answer cannot be guessed from the question alone.
_READ_KINDS = ("field", "row", "read_line", "transcribe")
CONTROLS = ("blank", "other", "redrawn")


@dataclass(frozen=True, kw_only=True)
class ControlCase:
    """A question with its page replaced.

    Attributes:
        request: the same question about the other picture.
        rung: of the question.
        control: one of `CONTROLS`.
        before: the answer on the true page, which the model gave.
        after: the answer on this page, where there is one.
    """

    request: Request
    rung: str
    control: str
    before: str
    after: str | None


def control_cases(
    samples: Sequence[DocumentSample],
    responses: Mapping[str, Response],
    *,
    limit: int = 100,
) -> list[ControlCase]:
    """The control questions for the answers a model had right.

    Args:
        samples: the benchmark.
        responses: the model's answers to it.
        limit: the most questions of each control and rung.
    """
    cases: list[ControlCase] = []
    for rung in dict.fromkeys(sample.rung for sample in samples):
        of_rung = [sample for sample in samples if sample.rung == rung]
        right = [
            sample
            for sample in of_rung
            if sample.kind in _READ_KINDS and is_right(sample, responses[sample.id])
        ]
        pictures: dict[str, Callable[[DocumentSample], tuple[np.ndarray, str | None] | None]] = {
            "blank": _blank,
            "other": lambda sample, pool=of_rung: _other(sample, pool),
            "redrawn": _redrawn,
        }
        for control, picture in pictures.items():
            count = 0
            for sample in right:
                found = picture(sample) if count < limit else None
                if found is None:
                    continue
                image, after = found
                name = f"{sample.id}#{control}"
                request = replace(sample.request, id=name, media=(image,))
                cases.append(
                    ControlCase(
                        request=request,
                        rung=rung,
                        control=control,
                        before=sample.golds[0],
                        after=after,
                    )
                )
                count += 1
    return cases


def _blank(sample: DocumentSample) -> tuple[np.ndarray, None]:
    return blank(generate(sample.seed, sample.config)).image, None


def _other(
    sample: DocumentSample, pool: Sequence[DocumentSample]
) -> tuple[np.ndarray, None] | None:
    """The next document of the rung that does not print the answer, around the end."""
    answer = normalize(sample.golds[0])
    later = [other for other in pool if other.seed > sample.seed]
    earlier = [other for other in pool if other.seed < sample.seed]
    for other in later + earlier:
        if answer not in normalize(other.document_text):
            return other.request.image, None
    return None


def _redrawn(sample: DocumentSample) -> tuple[np.ndarray, str] | None:
    """The page with another value in the slot asked for, if one fits."""
    if not sample.slot:
        return None
    try:
        document, qa = redraw(sample.seed, sample.config, sample.slot)
    except ConfigError:
        return None
    return document.image, qa.answer


def score_controls(
    cases: Sequence[ControlCase], responses: Mapping[str, Response]
) -> dict[str, Any]:
    """Shares of the answers to control questions, over all rungs and for each.

    Returns:
        `{control: {"all": cell, "rungs": {rung: cell}}}`; a cell has `n` and the shares `keeps`
        (still the answer of the true page), `absent` (says it is not in the document) and
        `follows` (the new value; for redrawn pages only).
    """
    result: dict[str, Any] = {}
    for control in CONTROLS:
        of_control = [case for case in cases if case.control == control]
        rungs = {
            rung: _cell([case for case in of_control if case.rung == rung], responses)
            for rung in dict.fromkeys(case.rung for case in of_control)
        }
        result[control] = {"all": _cell(of_control, responses), "rungs": rungs}
    return result


def _cell(cases: Sequence[ControlCase], responses: Mapping[str, Response]) -> dict[str, Any]:
    def share(expected: Callable[[ControlCase], str | None]) -> float | None:
        hits = 0
        for case in cases:
            answer, gold = responses[case.request.id], expected(case)
            hits += gold is not None and answer.is_valid and exact_match(answer.text, [gold])
        return round(hits / len(cases), 4) if cases else None

    cell = {
        "n": len(cases),
        "keeps": share(lambda case: case.before),
        "absent": share(lambda case: NOT_IN_DOCUMENT),
    }
    if cases and cases[0].control == "redrawn":
        cell["follows"] = share(lambda case: case.after)
    return cell
