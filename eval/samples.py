"""What passes between a benchmark, a model and the scores."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Request:
    """A question about a picture: all that a model is shown.

    Attributes:
        id: unique within a run.
        question: the question.
        image: uint8 `(height, width, 3)`, RGB.
        max_tokens: the longest answer that is waited for.
    """

    id: str
    question: str
    image: np.ndarray
    max_tokens: int


@dataclass(frozen=True, kw_only=True)
class Response:
    """What a model answered.

    Attributes:
        id: that of the request.
        text: the answer.
        confidence: the model's own, in [0, 1]; None if it has none.
        finish_reason: "stop", "length" or "context" (cut off), or "error".
        error: why there is no answer, if `finish_reason` is "error".
        answer_tokens: tokens written; None if the model has none.
        seconds: how long it took.
    """

    id: str
    text: str
    confidence: float | None = None
    finish_reason: str = "stop"
    error: str = ""
    answer_tokens: int | None = None
    seconds: float = 0.0

    @property
    def is_cut_off(self) -> bool:
        return self.finish_reason in ("length", "context", "cancelled")

    @property
    def is_valid(self) -> bool:
        """Whether it can count as right: there is an answer, and it came to its end."""
        return self.finish_reason == "stop" and self.text.strip() != ""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A question of a benchmark with the answers that are right.

    Attributes:
        request: what the model sees.
        rung: the part of the benchmark it belongs to.
        kind: the kind of question.
        golds: the right answers.
    """

    request: Request
    rung: str
    kind: str
    golds: tuple[str, ...]

    @property
    def id(self) -> str:
        return self.request.id


class Responder(Protocol):
    """Anything that answers requests: our model, a rival, a fake.

    Attributes:
        name: what reports call it.
    """

    name: str

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Answers the requests in their order, one response each."""
        ...
