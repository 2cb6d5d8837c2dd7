"""A question of a benchmark: what is asked, what is shown, what is right."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ...errors import DataError
from ..metrics import METRICS, Gold
from ..samples import Request


@dataclass(frozen=True, kw_only=True)
class Question:
    """One row of a benchmark, ready to be asked.

    Attributes:
        id: unique within the benchmark.
        text: the question, prompt included.
        media: what is shown, as `Request.media`.
        gold: what is right.
        metric: the name of the metric that grades the answer.
        kind: the part of the benchmark it belongs to.
        group: the document or video it is about: questions about one are not independent.
        max_tokens: the longest answer that is waited for.
    """

    id: str
    text: str
    media: tuple[Any, ...]
    gold: Gold
    metric: str
    kind: str = ""
    group: str = ""
    max_tokens: int = 256

    @property
    def request(self) -> Request:
        return Request(id=self.id, question=self.text, media=self.media, max_tokens=self.max_tokens)

    def about(self) -> dict[str, Any]:
        """What is written beside its answer, so that the answer can be graded again."""
        gold = {key: value for key, value in asdict(self.gold).items() if value}
        return {
            "metric": self.metric,
            "kind": self.kind,
            "group": self.group or self.id,
            "gold": gold,
        }


def gold_of(about: Mapping[str, Any]) -> Gold:
    """The gold that `Question.about` wrote.

    Raises:
        DataError: it is none.
    """
    try:
        values = dict(about["gold"])
        if "boxes" in values:
            values["boxes"] = tuple(tuple(box) for box in values["boxes"])
        for name in ("answers", "options", "texts"):
            values[name] = tuple(values.get(name, ()))
        if about["metric"] not in METRICS:
            raise DataError(f"There is no metric {about['metric']!r}.")
        return Gold(**values)
    except (KeyError, TypeError) as error:
        raise DataError(f"A gold answer cannot be read: {error!r}.") from error
