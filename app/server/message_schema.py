"""What messages and input items may hold, as JSON schema: told to whoever reads the interface.

Nothing is checked by it. `asked.py` reads messages and says in a sentence what is wrong with one.
"""

from typing import Any


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    """What is optional may be null: clients send what they got, and that has nulls."""
    optional = {
        key: {"anyOf": [value, {"type": "null"}]} for key, value in (optional or {}).items()
    }
    properties = required | optional
    return {"type": "object", "properties": properties, "required": list(required)}


def _kind(*names: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(names)}


_TEXT: dict[str, Any] = {"type": "string"}
_URL: dict[str, Any] = {
    "type": "string",
    "description": "A data URL; a file: or http(s) address where the server allows it.",
}
_HELD = {"anyOf": [_URL, _object({"url": _URL})]}
_FILE = {"file_data": _URL, "filename": _TEXT}
_CALL = _object({"function": _object({"name": _TEXT, "arguments": _TEXT})}, {"id": _TEXT})
_TEXT_PART = _object({"type": _kind("text", "input_text", "output_text"), "text": _TEXT})
_PARTS = [
    _TEXT_PART,
    _object({"type": _kind("image_url"), "image_url": _HELD}),
    _object({"type": _kind("video_url"), "video_url": _HELD}),
    _object({"type": _kind("file"), "file": _object(_FILE)}),
    _object({"type": _kind("input_image"), "image_url": _URL}),
    _object({"type": _kind("input_video"), "video_url": _URL}),
    _object({"type": _kind("input_file"), "file_data": _URL}, {"filename": _TEXT}),
]
_CONTENT = {"anyOf": [_TEXT, {"type": "array", "minItems": 1, "items": {"anyOf": _PARTS}}]}
_TOLD = {"anyOf": [_TEXT, {"type": "array", "minItems": 1, "items": _TEXT_PART}]}
_THOUGHT = {"type": "array", "items": _object({"text": _TEXT}, {"type": _TEXT})}

MESSAGE: dict[str, Any] = {
    "anyOf": [
        _object({"role": _kind("user"), "content": _CONTENT}),
        _object({"role": _kind("system", "developer"), "content": _TOLD}),
        _object({"role": _kind("assistant"), "content": _TOLD}, {"reasoning_content": _TEXT}),
        _object(
            {
                "role": _kind("assistant"),
                "tool_calls": {"type": "array", "minItems": 1, "items": _CALL},
            },
            {"content": _TOLD},
        ),
        _object({"role": _kind("tool"), "content": _TOLD}, {"tool_call_id": _TEXT}),
    ]
}
ITEM: dict[str, Any] = {
    "anyOf": [
        *MESSAGE["anyOf"][:3],
        _object(
            {"type": _kind("function_call"), "name": _TEXT, "arguments": _TEXT},
            {"call_id": _TEXT},
        ),
        _object({"type": _kind("reasoning")}, {"content": _THOUGHT, "summary": _THOUGHT}),
        _object({"type": _kind("function_call_output"), "output": _TOLD}, {"call_id": _TEXT}),
    ]
}
