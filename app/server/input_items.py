"""The items of a response's `input` as chat messages."""

from collections.abc import Mapping, Sequence
from typing import Any

from .errors import RequestError


def chat_messages(items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Messages, calls and their results, in order.

    A thought goes to the turn of the assistant that follows it, and calls to the turn that they
    end, as a chat template has them.

    Raises:
        RequestError: an item is of no known type.
    """
    found: list[dict[str, Any]] = []
    thought = ""
    for item in items:
        kind = item.get("type", "message")
        if kind == "reasoning":
            thought += _thought(item)
            continue
        if kind == "function_call_output":
            output = {"content": item.get("output"), "tool_call_id": item.get("call_id")}
            found.append({"role": "tool", **output})
        elif kind == "function_call":
            call = {"function": {"name": item.get("name"), "arguments": item.get("arguments")}}
            if thought or not found or found[-1].get("role") != "assistant":
                found.append({"role": "assistant", "content": ""})
            found[-1].setdefault("tool_calls", []).append(call)
        elif kind == "message":
            found.append({key: value for key, value in item.items() if key in ("role", "content")})
        else:
            raise RequestError(f"The input holds an item of the unknown type {str(kind)[:40]!r}.")
        if thought and found[-1].get("role") == "assistant":
            found[-1]["reasoning_content"] = thought
        thought = ""
    return found


def _thought(item: Mapping[str, Any]) -> str:
    parts = item.get("content") or item.get("summary") or []
    parts = parts if isinstance(parts, list) else [parts]
    texts = [part["text"] for part in parts if isinstance(part, Mapping) and "text" in part]
    if len(texts) < len(parts) or not all(isinstance(text, str) for text in texts):
        raise RequestError("A reasoning item holds something other than texts.")
    return "\n".join(texts)
