"""From responses to numbers. Nothing is dropped: what is empty, cut off or failed is wrong."""

from collections.abc import Mapping, Sequence
from typing import Any

from .metrics import anls, character_error_rate, exact_match
from .samples import Response, Sample

_SURE = 0.9
_BIN_EDGES = (0.0, 0.5, 0.7, 0.9, 0.97, 1.0)


def is_right(sample: Sample, response: Response) -> bool:
    """Whether the answer is complete and equals one of the right ones."""
    return response.is_valid and exact_match(response.text, sample.golds)


def score(samples: Sequence[Sample], responses: Mapping[str, Response]) -> dict[str, Any]:
    """Scores by rung, and within a rung by kind of question.

    Returns:
        `{rung: {"all": cell, "kinds": {kind: cell}}}`; a cell has `n`, `exact` and `anls` (shares
        of all n), `cer`, the counts `empty`, `cut_off` and `failed`, and mean `seconds`.
    """
    result: dict[str, Any] = {}
    for rung in dict.fromkeys(sample.rung for sample in samples):
        of_rung = [sample for sample in samples if sample.rung == rung]
        kinds = {
            kind: _cell([sample for sample in of_rung if sample.kind == kind], responses)
            for kind in sorted({sample.kind for sample in of_rung})
        }
        result[rung] = {"all": _cell(of_rung, responses), "kinds": kinds}
    return result


def _cell(samples: Sequence[Sample], responses: Mapping[str, Response]) -> dict[str, Any]:
    pairs = [(sample, responses[sample.id]) for sample in samples]
    similarity = [anls(r.text, sample.golds) if r.is_valid else 0.0 for sample, r in pairs]
    rate = character_error_rate((r.text, sample.golds[0]) for sample, r in pairs)
    return {
        "n": len(pairs),
        "exact": _share([is_right(sample, response) for sample, response in pairs]),
        "anls": round(sum(similarity) / len(pairs), 4),
        "cer": round(rate, 4),
        "empty": sum(r.finish_reason == "stop" and not r.text.strip() for _, r in pairs),
        "cut_off": sum(r.is_cut_off for _, r in pairs),
        "failed": sum(r.finish_reason == "error" for _, r in pairs),
        "seconds": round(sum(r.seconds for _, r in pairs) / len(pairs), 4),
    }


def calibration(
    samples: Sequence[Sample], responses: Mapping[str, Response]
) -> dict[str, Any] | None:
    """How far confidence can be trusted; None if the model has none.

    Returns:
        `above_0.9`: how many answers have a confidence of more than 0.9, and the share of them
        that is exact. `bins`: the same by ranges. `low_confidence`: the confidence below which
        fewer than half of the answers are exact.
    """
    rated = []
    for sample in samples:
        response = responses[sample.id]
        if response.confidence is not None:
            rated.append((response.confidence, is_right(sample, response)))
    if not rated:
        return None
    bins = []
    for low, high in zip(_BIN_EDGES, _BIN_EDGES[1:], strict=False):
        last = high == _BIN_EDGES[-1]
        hits = [right for value, right in rated if low <= value < high or (last and value == high)]
        bins.append({"low": low, "high": high, "n": len(hits), "exact": _share(hits)})
    sure = [right for value, right in rated if value > _SURE]
    return {
        f"above_{_SURE}": {"n": len(sure), "exact": _share(sure)},
        "bins": bins,
        "low_confidence": _low_confidence(rated),
    }


def _low_confidence(rated: list[tuple[float, bool]]) -> float:
    """The largest confidence below which fewer than half of the answers are right."""
    best, below, right = 0.0, 0, 0
    for value, hit in sorted(rated):
        if below and 2 * right < below:
            best = value
        below, right = below + 1, right + hit
    if 2 * right < below:
        best = 1.0
    return round(best, 3)


def _share(hits: Sequence[bool]) -> float | None:
    return round(sum(hits) / len(hits), 4) if hits else None
