"""A response as server-sent events, in the order that OpenAI's interface has.

    created, in_progress
    an item at a time: output_item.added, what is in it (deltas, then done), output_item.done
    completed, incomplete or failed

Its thought and its text come as they are written, its calls when they are whole.
"""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

from ...vlm.answer import Answer
from ...vlm.answer_parts import AnswerPiece
from ...vlm.vlm import VLM
from . import shapes
from .bodies import ResponsesBody
from .errors import error_body
from .logprobs import SentLogprobs

_TEXTS = {"reasoning": "response.reasoning_text", "message": "response.output_text"}


async def response_events(
    vlm: VLM,
    model: str,
    body: ResponsesBody,
    pieces: AsyncIterator[tuple[int, AnswerPiece | Answer]],
) -> AsyncIterator[str]:
    """The events of one response."""
    writer = _Writer(vlm, model, body)
    try:
        for event in writer.begin():
            yield event
        async for _, item in pieces:
            for event in writer.end(item) if isinstance(item, Answer) else writer.take(item):
                yield event
    except Exception as error:
        yield writer.failed(error)


class _Writer:
    """Knows which item is open, and numbers events."""

    def __init__(self, vlm: VLM, model: str, body: ResponsesBody) -> None:
        self._vlm, self._model, self._body = vlm, model, body
        self._sent = SentLogprobs(vlm)
        self._told: list[dict[str, Any]] = []
        self._id, self._ids = shapes.new_id("resp"), shapes.new_item_ids()
        self._number = -1
        self._begun: list[str] = []
        self._open: str | None = None
        self._text = ""

    def begin(self) -> Iterator[str]:
        begun = shapes.response(self._vlm, self._model, self._id, None, self._body)
        yield self._event("response.created", response=begun)
        yield self._event("response.in_progress", response=begun)

    def take(self, piece: AnswerPiece) -> Iterator[str]:
        """Some of the thought or of the text."""
        kind = "reasoning" if piece.kind == "reasoning" else "message"
        if self._open is not None and self._open != kind:
            yield from self._close(self._open, self._item(self._open, self._text, "completed"))
        if self._open is None:
            yield from self._add(kind)
        self._text += piece.text
        more = {"logprobs": self._logprobs(piece)} if kind == "message" else {}
        yield self._event(f"{_TEXTS[kind]}.delta", **self._place(kind), delta=piece.text, **more)

    def end(self, answer: Answer) -> Iterator[str]:
        """What is still to be said of each item, and then the whole."""
        self._logprobs(answer)
        whole = shapes.response(self._vlm, self._model, self._id, answer, self._body, ids=self._ids)
        for at, item in enumerate(whole["output"]):
            kind = item["type"]
            if kind == "function_call":
                yield from self._call(at, item)
                continue
            if kind not in self._begun:  # an answer without a word
                yield from self._add(kind)
            if kind == self._open:
                yield from self._close(kind, item)
        yield self._event(f"response.{whole['status']}", response=whole)

    def failed(self, error: Exception) -> str:
        whole = shapes.response(self._vlm, self._model, self._id, None, self._body)
        message = error_body(error)["error"]["message"]
        told = {"status": "failed", "error": {"code": "server_error", "message": message}}
        return self._event("response.failed", response=whole | told)

    def _logprobs(self, item: AnswerPiece | Answer) -> list[dict[str, Any]]:
        """Those of a piece, if they are wanted."""
        found = self._sent.take(item) if self._body.wants_logprobs else []
        self._told += found
        return found

    def _item(self, kind: str, text: str | None, status: str) -> dict[str, Any]:
        return shapes.text_item(kind, self._ids[kind], text, status)

    def _add(self, kind: str) -> Iterator[str]:
        self._begun.append(kind)
        self._open, self._text = kind, ""
        place, item = self._place(kind), self._item(kind, None, "in_progress")
        added = {"output_index": place["output_index"], "item": item}
        yield self._event("response.output_item.added", **added)
        yield self._event("response.content_part.added", **place, part=shapes.text_part(kind, ""))

    def _close(self, kind: str, item: dict[str, Any]) -> Iterator[str]:
        self._open = None
        place = self._place(kind)
        more = {"logprobs": self._told} if kind == "message" else {}
        yield self._event(f"{_TEXTS[kind]}.done", **place, text=self._text, **more)
        yield self._event("response.content_part.done", **place, part=item["content"][0])
        done = {"output_index": place["output_index"], "item": item}
        yield self._event("response.output_item.done", **done)

    def _call(self, at: int, item: dict[str, Any]) -> Iterator[str]:
        begun = item | {"arguments": "", "status": "in_progress"}
        place = {"item_id": item["id"], "output_index": at}
        told, kind = item["arguments"], "response.function_call_arguments"
        yield self._event("response.output_item.added", output_index=at, item=begun)
        yield self._event(f"{kind}.delta", **place, delta=told)
        yield self._event(f"{kind}.done", **place, name=item["name"], arguments=told)
        yield self._event("response.output_item.done", output_index=at, item=item)

    def _place(self, kind: str) -> dict[str, Any]:
        index = self._begun.index(kind)
        return {"item_id": self._ids[kind], "output_index": index, "content_index": 0}

    def _event(self, kind: str, **more: Any) -> str:
        self._number += 1
        data = {"type": kind, "sequence_number": self._number, **more}
        return f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
