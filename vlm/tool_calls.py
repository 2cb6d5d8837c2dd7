"""Tool calls as models write them, to names and arguments.

What stands between the tags says which of three forms it is:

    JSON list     [{"name": "f", "arguments": {"x": 1}}]      <TOOLCALL>, Nemotron Nano 2
    JSON object   {"name": "f", "arguments": {"x": 1}}        <tool_call>
    XML-like      <function=f><parameter=x>1</parameter></function>   <tool_call>, Nemotron 3

Values of the XML-like form have no types of their own; the tool's JSON schema has them.
"""

import ast
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..data.tool_messages import function_of

_FUNCTION = re.compile(r"<function=([^>\s]+)>(.*)</function>", re.DOTALL)
# A value may spell the closing tag itself: only one that another tag follows closes it.
_PARAMETER = re.compile(
    r"\s*<parameter=([^>\s]+)>(.*?)</parameter>(?=\s*(?:<parameter=|\Z))", re.DOTALL
)
_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


@dataclass(frozen=True, kw_only=True)
class ToolCall:
    """A tool the model asks to be called.

    Example:
        ```python
        import latentvlm

        call = latentvlm.ToolCall(name="weather", arguments={"place": "Rome"})
        print(call.as_message())  # `answer.tool_calls` holds such calls
        ```

    Attributes:
        name: of the tool.
        arguments: by name.
    """

    name: str
    arguments: Mapping[str, Any]

    def as_message(self) -> dict[str, Any]:
        """The form in which an assistant message holds it."""
        function = {"name": self.name, "arguments": dict(self.arguments)}
        return {"type": "function", "function": function}


class MalformedCallError(Exception):
    """What is wrong with a call, as the end of a sentence; it never leaves this package."""


def parse_calls(body: str, tools: Sequence[Mapping[str, Any]]) -> list[ToolCall]:
    """The calls between one pair of tags.

    Args:
        body: what the model wrote there.
        tools: what it was offered; their schemas say the types of XML-like values.

    Raises:
        MalformedCallError: it is in none of the three forms.
    """
    body = body.strip()
    if body.startswith("<"):
        return [_xml_call(body, tools)]
    values = _read_json(body, "is not JSON")
    values = values if isinstance(values, list) else [values]
    if not values:
        raise MalformedCallError("is an empty list")
    return [_json_call(value) for value in values]


def unknown_tools(calls: Sequence[ToolCall], tools: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names that are called but were not offered."""
    known = {function_of(tool).get("name") for tool in tools}
    return sorted({call.name for call in calls} - known)


def _read_json(text: str, wrong: str) -> Any:
    """JSON as its standard has it: NaN and Infinity are no numbers there."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise MalformedCallError(f"{wrong} ({error})") from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


def _json_call(value: Any) -> ToolCall:
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise MalformedCallError('has no "name"')
    name, arguments = value["name"], value.get("arguments", {})
    if isinstance(arguments, str):
        arguments = _read_json(arguments, f"gives {name} arguments that are not JSON")
    if not isinstance(arguments, dict):
        raise MalformedCallError(f"gives {name} arguments that are not a JSON object")
    return ToolCall(name=name, arguments=arguments)


def _xml_call(body: str, tools: Sequence[Mapping[str, Any]]) -> ToolCall:
    found = _FUNCTION.fullmatch(body)
    if found is None:
        raise MalformedCallError("is not <function=NAME> ... </function>")
    name, inner = found.groups()
    schemas = _schemas(name, tools)
    arguments: dict[str, Any] = {}
    at = 0
    while at < len(inner.rstrip()):
        part = _PARAMETER.match(inner, at)
        if part is None:
            raise MalformedCallError(
                f"has something other than <parameter=NAME> ... </parameter> in the call of {name}"
            )
        key, text = part.groups()
        if key in arguments:
            raise MalformedCallError(f"gives the parameter {key} of {name} twice")
        # The template writes a line end on both sides of a value.
        text = text.removeprefix("\n").removesuffix("\n")
        arguments[key] = _value(text, schemas.get(key), f"{key} of {name}")
        at = part.end()
    return ToolCall(name=name, arguments=arguments)


def _schemas(name: str, tools: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    functions = (function_of(tool) for tool in tools)
    return next((properties_of(each) for each in functions if each.get("name") == name), {})


def properties_of(function: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of each parameter; one that is only a `$ref` is what that refers to."""
    parameters = function.get("parameters")
    properties = parameters.get("properties") if isinstance(parameters, Mapping) else None
    if not isinstance(properties, Mapping):
        return {}
    return {key: _followed(value, parameters) for key, value in properties.items()}


def _followed(schema: Any, parameters: Any) -> Any:
    path = schema.get("$ref") if isinstance(schema, Mapping) else None
    if not isinstance(path, str) or not path.startswith("#/"):
        return schema
    found = parameters
    for key in path[2:].split("/"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return schema if found is None else found


def _value(text: str, schema: Any, where: str) -> Any:
    """A value by the types its schema allows; without any it is the text itself."""
    kinds = kinds_of(schema)
    if "null" in kinds and text.strip().lower() in ("null", "none"):
        return None
    if not kinds or "string" in kinds:
        return text
    # Templates write arguments with Jinja's str, so models write True as well as true.
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(text.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        if any(_is_kind(value, kind) for kind in kinds):
            return value
    raise MalformedCallError(f"gives {text!r} for {where}, which is no {' or '.join(kinds)}")


def kinds_of(schema: Any) -> list[str]:
    """The types that a schema allows; none where it does not say."""
    if not isinstance(schema, Mapping):
        return []
    kinds = schema.get("type", [])
    found = [kinds] if isinstance(kinds, str) else _items(kinds)
    for choice in [*_items(schema.get("anyOf")), *_items(schema.get("oneOf"))]:
        found += kinds_of(choice)
    return [kind for kind in found if kind in _KINDS]


def _items(value: Any) -> list[Any]:
    """A list as it is; anything else, which no schema has there, is none."""
    return list(value) if isinstance(value, list | tuple) else []


def _is_kind(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _KINDS[kind])
