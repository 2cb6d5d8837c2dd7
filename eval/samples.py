"""What passes between a benchmark, a model and the scores."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Request:
    """A question about pictures, documents or videos: all that a model is shown.

    Attributes:
        id: unique within a run.
        question: the question.
        media: what is shown, in order: arrays uint8 `(height, width, 3)`, RGB; stored media
            (`media.py`), which are read when they are shown; or videos as `data/video.py` has them.
        max_tokens: the longest answer that is waited for.
    """

    id: str
    question: str
    media: tuple[Any, ...]
    max_tokens: int

    @property
    def image(self) -> np.ndarray:
        """The picture of a request that shows one array."""
        (image,) = self.media
        return image


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
        details: what else is known of it: tokens of the prompt, where the time went, how pictures
            were cut up, which frames of a video were seen. It can be written as JSON.
    """

    id: str
    text: str
    confidence: float | None = None
    finish_reason: str = "stop"
    error: str = ""
    answer_tokens: int | None = None
    seconds: float = 0.0
    details: Mapping[str, Any] = field(default_factory=dict)

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
        """Answers the requests, one response each, in any order; each the moment it is there."""
        ...
