"""Chat completions as server-sent events; `response_events.py` has those of responses."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

from ...vlm.answer import Answer
from ...vlm.answer_parts import AnswerPiece
from ...vlm.vlm import VLM
from . import shapes
from .bodies import ChatBody
from .errors import error_body
from .logprobs import SentLogprobs

Pieces = AsyncIterator[tuple[int, AnswerPiece | Answer]]


async def chat_events(vlm: VLM, model: str, body: ChatBody, pieces: Pieces) -> AsyncIterator[str]:
    """`chat.completion.chunk`s; log-probabilities come with the text of their tokens.

    Those of tokens that show no text, such as a call's, come in an answer's last chunk.
    """
    idx, created = shapes.new_id("chatcmpl"), int(time.time())
    answers: list[Answer] = []
    sent = [SentLogprobs(vlm) for _ in range(body.n)]

    def event(choices: list[dict[str, Any]], **more: Any) -> str:
        chunk = {"id": idx, "object": "chat.completion.chunk", "created": created, "model": model}
        return _data({**chunk, "choices": choices, **more})

    def choice(index: int, delta: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {"index": index, "delta": delta, "finish_reason": None, **more}

    try:
        for index in range(body.n):
            yield event([choice(index, {"role": "assistant", "content": ""})])
        async for index, item in pieces:
            if isinstance(item, AnswerPiece):
                key = "content" if item.kind == "text" else "reasoning_content"
                shown = choice(index, {key: item.text})
                if body.logprobs and item.kind == "text":
                    shown["logprobs"] = shapes.chat_logprobs(sent[index].take(item))
                yield event([shown])
                continue
            answers.append(item)
            delta: dict[str, Any] = {}
            if item.tool_calls:
                calls = shapes.tool_calls(item)
                delta["tool_calls"] = [{"index": at, **call} for at, call in enumerate(calls)]
            last = choice(index, delta, latentvlm=shapes.extras(item))
            last["finish_reason"] = shapes.finish_reason(item)
            if body.logprobs:
                last["logprobs"] = shapes.chat_logprobs(sent[index].take(item))
            yield event([last])
        if body.stream_options and body.stream_options.include_usage:
            yield event([], usage=shapes.chat_usage(answers))
    except Exception as error:
        yield _data(error_body(error))
    yield "data: [DONE]\n\n"


def _data(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
