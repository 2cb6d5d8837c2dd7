"""Answers as server-sent events, in OpenAI's two ways."""

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

Pieces = AsyncIterator[tuple[int, AnswerPiece | Answer]]


async def chat_events(vlm: VLM, model: str, body: ChatBody, pieces: Pieces) -> AsyncIterator[str]:
    """`chat.completion.chunk`s; log-probabilities come in an answer's last one."""
    idx, created = shapes.new_id("chatcmpl"), int(time.time())
    answers: list[Answer] = []

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
                yield event([choice(index, {key: item.text})])
                continue
            answers.append(item)
            delta: dict[str, Any] = {}
            if item.tool_calls:
                calls = shapes.tool_calls(item)
                delta["tool_calls"] = [{"index": at, **call} for at, call in enumerate(calls)]
            last = choice(index, delta, latentvlm=shapes.extras(item))
            last["finish_reason"] = shapes.finish_reason(item)
            if body.logprobs:
                last["logprobs"] = shapes.logprobs(vlm, item)
            yield event([last])
        if body.stream_options and body.stream_options.include_usage:
            yield event([], usage=shapes.chat_usage(answers))
    except Exception as error:
        yield _data(error_body(error))
    yield "data: [DONE]\n\n"


async def response_events(model: str, tools: list[Any], pieces: Pieces) -> AsyncIterator[str]:
    """The events of a response: its text as it comes, its other items when they are whole."""
    idx, item_id, number = shapes.new_id("resp"), shapes.new_id("msg"), -1
    place = {"item_id": item_id, "output_index": 0, "content_index": 0}

    def event(kind: str, **more: Any) -> str:
        nonlocal number
        number += 1
        data = json.dumps({"type": kind, "sequence_number": number, **more}, ensure_ascii=False)
        return f"event: {kind}\ndata: {data}\n\n"

    thought, text, begun = "", "", False
    try:
        begin = shapes.response(model, idx, None, tools)
        yield event("response.created", response=begin)
        yield event("response.in_progress", response=begin)
        async for _, item in pieces:
            if isinstance(item, AnswerPiece) and item.kind == "reasoning":
                thought += item.text
                yield event("response.reasoning_text.delta", **place, delta=item.text)
            elif isinstance(item, AnswerPiece):
                if not begun:
                    begun = True
                    place["output_index"] = int(bool(thought))
                    message = {"id": item_id, "type": "message", "role": "assistant"}
                    message |= {"status": "in_progress", "content": []}
                    yield event(
                        "response.output_item.added",
                        output_index=place["output_index"],
                        item=message,
                    )
                    part = {"type": "output_text", "text": "", "annotations": []}
                    yield event("response.content_part.added", **place, part=part)
                text += item.text
                yield event("response.output_text.delta", **place, delta=item.text, logprobs=[])
            else:
                whole = shapes.response(model, idx, item, tools)
                for at, output in enumerate(whole["output"]):
                    if output["type"] == "message" and begun:
                        output["id"] = item_id
                        yield event("response.output_text.done", **place, text=text, logprobs=[])
                        yield event(
                            "response.content_part.done", **place, part=output["content"][0]
                        )
                    else:
                        yield event("response.output_item.added", output_index=at, item=output)
                    yield event("response.output_item.done", output_index=at, item=output)
                yield event(f"response.{whole['status']}", response=whole)
    except Exception as error:
        failed = {**shapes.response(model, idx, None, tools), "status": "failed"}
        told = error_body(error)["error"]
        failed["error"] = {"code": "server_error", "message": told["message"]}
        yield event("response.failed", response=failed)


def _data(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
