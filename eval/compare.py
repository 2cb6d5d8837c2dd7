"""Two runs on the same questions: which is better, by how much, and where."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError
from .evaluate import read_run
from .metrics import Profile
from .scoring import Graded, summarize
from .totals import difference


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What differs between two runs.

    Attributes:
        result: for JSON: both scores, the difference with its interval, the same for each kind.
        first, second: the answers to the questions that both were asked, in one order.
        flipped: places in them where one is right and the other wrong.
    """

    result: dict[str, Any]
    folders: tuple[Path, Path]
    first: Sequence[Graded]
    second: Sequence[Graded]
    flipped: Sequence[int]


def compare(
    first: str | Path, second: str | Path, profile: Profile | str = Profile.STRICT
) -> Comparison:
    """Compares the second run with the first, question by question.

    Raises:
        DataError: one is no run, or the two have no question in common, or their questions or
            golds differ.
    """
    (ours, a), (theirs, b) = read_run(first, profile), read_run(second, profile)
    left, right = ours["benchmark"], theirs["benchmark"]
    if (left["name"], left["metric"]) != (right["name"], right["metric"]):
        raise DataError(
            f"{first} is a run of {left['name']} ({left['metric']}) and {second} of "
            f"{right['name']} ({right['metric']}); only runs of one benchmark can be compared."
        )
    by_id = {each.id: each for each in b}
    pairs = [(each, by_id[each.id]) for each in a if each.id in by_id]
    if not pairs:
        raise DataError(f"{first} and {second} have no question in common.")
    for x, y in pairs:
        if x.line["gold"] != y.line["gold"]:
            raise DataError(f"{x.id} has another right answer in {first} than in {second}.")
    x, y = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    whole, doubt = difference([e.scored for e in x], [e.scored for e in y], left["total"])
    kinds = {}
    for kind in sorted({each.line.get("kind", "") for each in x}):
        places = [idx for idx, each in enumerate(x) if each.line.get("kind", "") == kind]
        of_kind, _ = difference(
            [x[idx].scored for idx in places], [y[idx].scored for idx in places]
        )
        kinds[kind] = asdict(of_kind)
    flipped = [idx for idx, (p, q) in enumerate(pairs) if p.is_right != q.is_right]
    parts = {
        "metric": left["metric"],
        "total": left["total"],
        "metrics": (),
        "profile": profile,
    }
    result = {
        "benchmark": left["name"],
        "profile": str(profile),
        "metric": left["metric"],
        "questions": len(pairs),
        "only_in_first": len(a) - len(pairs),
        "only_in_second": len(b) - len(pairs),
        "same_prompt": left["prompts"] == right["prompts"],
        "first": _side(ours, summarize(x, **parts)),
        "second": _side(theirs, summarize(y, **parts)),
        "difference": asdict(whole),
        "not_better_share": round(doubt, 4),
        "kinds": kinds,
        "won": [x[idx].id for idx in flipped if y[idx].is_right],
        "lost": [x[idx].id for idx in flipped if x[idx].is_right],
    }
    return Comparison(
        result=result, folders=(Path(first), Path(second)), first=x, second=y, flipped=flipped
    )


def _side(manifest: dict[str, Any], summary: dict[str, Any]) -> dict[str, Any]:
    kept = ("score", "low", "high", "n", "counts", "cost")
    return {
        "model": manifest["model"]["name"],
        "manifest": manifest["id"],
        "shown": manifest["shown"],
        **{key: summary[key] for key in kept},
    }
