"""Answers in OpenAI's shapes."""

import dataclasses
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from ...vlm.answer import Answer
from ...vlm.vlm import VLM
from .bodies import ResponsesBody
from .logprobs import answer_choices, token_logprobs

# What a response says of how it was asked for.
_TOLD_AGAIN = ("instructions", "max_output_tokens", "temperature", "top_p", "text", "reasoning",
               "truncation", "user")  # fmt: skip


def new_id(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex}"


def finish_reason(answer: Answer) -> str:
    if answer.finish_reason in ("length", "context"):
        return "length"
    return "tool_calls" if answer.tool_calls else "stop"


def tool_calls(answer: Answer) -> list[dict[str, Any]]:
    return [
        {
            "id": new_id("call"),
            "type": "function",
            "function": {
                "name": call.name,
                "arguments": json.dumps(dict(call.arguments), ensure_ascii=False),
            },
        }
        for call in answer.tool_calls
    ]


def extras(answer: Answer) -> dict[str, Any]:
    """What OpenAI's shape has no place for."""
    return {
        "confidence": answer.confidence,
        "warnings": list(answer.warnings),
        "pages": [dataclasses.asdict(page) for page in answer.pages],
        "timing": dataclasses.asdict(answer.timing),
        "reasoning_finish": answer.reasoning_finish,
    }


def chat_logprobs(content: list[dict[str, Any]]) -> dict[str, Any]:
    return {"content": content, "refusal": None}


def chat_usage(answers: list[Answer]) -> dict[str, Any]:
    """The prompt counts once, the answers together."""
    usage = answers[0].usage
    written = sum(answer.usage.answer_tokens for answer in answers)
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": written,
        "total_tokens": usage.prompt_tokens + written,
        "prompt_tokens_details": {
            "text_tokens": usage.text_tokens,
            "visual_tokens": usage.visual_tokens,
            "visual_tokens_before": usage.visual_tokens_before,
        },
        "completion_tokens_details": {
            "reasoning_tokens": sum(answer.usage.reasoning_tokens for answer in answers)
        },
    }


def chat_choice(vlm: VLM, index: int, answer: Answer, *, with_logprobs: bool) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text}
    if answer.reasoning:
        message["reasoning_content"] = answer.reasoning
    if answer.tool_calls:
        message["tool_calls"] = tool_calls(answer)
    return {
        "index": index,
        "message": message,
        "finish_reason": finish_reason(answer),
        "logprobs": chat_logprobs(token_logprobs(vlm, answer_choices(answer)))
        if with_logprobs
        else None,
        "latentvlm": extras(answer),
    }


def new_item_ids() -> dict[str, str]:
    """Of the items of a response that hold text."""
    return {"reasoning": new_id("rs"), "message": new_id("msg")}


def text_part(kind: str, text: str, logprobs: Sequence[Any] = ()) -> dict[str, Any]:
    """What an item of text holds."""
    if kind == "reasoning":
        return {"type": "reasoning_text", "text": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": list(logprobs)}


def text_item(
    kind: str, idx: str, text: str | None, status: str, logprobs: Sequence[Any] = ()
) -> dict[str, Any]:
    """A thought or a message; without text, one that begins."""
    content = [] if text is None else [text_part(kind, text, logprobs)]
    more = {"summary": []} if kind == "reasoning" else {"role": "assistant"}
    return {"id": idx, "type": kind, "status": status, "content": content, **more}


def response_output(
    vlm: VLM, answer: Answer, ids: Mapping[str, str], *, with_logprobs: bool
) -> list[dict[str, Any]]:
    """The items of a response: thought, message, calls."""
    told = token_logprobs(vlm, answer_choices(answer)) if with_logprobs else []
    output: list[dict[str, Any]] = []
    if answer.reasoning:
        output.append(text_item("reasoning", ids["reasoning"], answer.reasoning, "completed"))
    if answer.text or not answer.tool_calls:
        done = "incomplete" if finish_reason(answer) == "length" else "completed"
        output.append(text_item("message", ids["message"], answer.text, done, told))
    for call in tool_calls(answer):
        named = {"type": "function_call", "call_id": call["id"], "status": "completed"}
        output.append({"id": new_id("fc"), **named, **call["function"]})
    return output


def response(
    vlm: VLM,
    model: str,
    idx: str,
    answer: Answer | None,
    asked: ResponsesBody,
    *,
    ids: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A response; without an answer, one that is in progress."""
    is_cut = answer is not None and finish_reason(answer) == "length"
    status = "in_progress" if answer is None else "incomplete" if is_cut else "completed"
    body: dict[str, Any] = {
        "id": idx,
        "object": "response",
        "created_at": int(time.time()),
        "model": model,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
        "metadata": asked.metadata or {},
        "parallel_tool_calls": asked.parallel_tool_calls is not False,
        "tool_choice": asked.tool_choice or "auto",
        "tools": asked.tools or [],
        "output": []
        if answer is None
        else response_output(
            vlm, answer, ids or new_item_ids(), with_logprobs=asked.wants_logprobs
        ),
        **{key: getattr(asked, key) for key in _TOLD_AGAIN},
    }
    if answer is not None:
        usage = answer.usage
        body["usage"] = {
            "input_tokens": usage.prompt_tokens,
            "output_tokens": usage.answer_tokens,
            "total_tokens": usage.prompt_tokens + usage.answer_tokens,
            "input_tokens_details": {
                "cached_tokens": 0,
                "text_tokens": usage.text_tokens,
                "visual_tokens": usage.visual_tokens,
                "visual_tokens_before": usage.visual_tokens_before,
            },
            "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        }
        body["latentvlm"] = extras(answer)
    return body
