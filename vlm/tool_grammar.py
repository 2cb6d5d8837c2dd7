"""A tool call that the model must make, as a grammar: in the form that its chat template shows.

The grammar is llguidance's dialect of Lark. Arguments follow the tool's JSON schema; where the
template writes values as plain text, those of type string are any text.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..data.chat_style import Tags
from ..data.processor import Processor
from ..data.tool_messages import check_tools, function_of
from ..errors import ConfigError, PromptError
from .json_numbers import with_bounds
from .tool_calls import kinds_of, properties_of

_FREE: dict[str, Any] = {"type": "object"}
_DEFINITIONS = ("$defs", "definitions")


@dataclass(frozen=True)
class Grammar:
    """A grammar in Lark's notation."""

    lark: str


def call_grammar(
    processor: Processor, tools: Sequence[Mapping[str, Any]], choice: str
) -> Grammar | None:
    """What an answer must look like so that it is a call.

    Args:
        choice: "auto" leaves it to the model, "required" asks for a call of any tool; else the
            name of a tool.

    Raises:
        ConfigError: there is no such tool.
        PromptError: the chat template does not say how tools are called.
    """
    if not isinstance(choice, str):
        raise ConfigError(
            f"tool_choice is {choice!r} but must be 'auto', 'required' or the name of a tool."
        )
    if choice == "auto":
        return None
    offered = [function_of(tool) for tool in check_tools(tools)]
    wanted = [each for each in offered if choice in ("required", each["name"])]
    if not wanted:
        names = ", ".join(repr(each["name"]) for each in offered) or "none"
        raise ConfigError(f"tool_choice asks for {choice!r}; the tools are {names}.")
    style = processor.style
    if not style.calls:
        raise PromptError(
            "This checkpoint's chat template does not say how tools are called, so no call can be "
            "forced."
        )
    tags = style.calls[0]
    calls = _xml_calls if style.has_xml_calls else _json_calls
    opening, closing = (_tag(processor, tag) for tag in tags)
    rules = calls(wanted, tags)
    return Grammar("\n".join([f"start: {opening} body {closing}", *rules]))


def _tag(processor: Processor, tag: str) -> str:
    idx = processor.tag_id(tag)
    return _quoted(tag) if idx is None else f"<[{idx}]>"


def _json_calls(tools: Sequence[Mapping[str, Any]], tags: Tags) -> list[str]:
    """A list of one call between <TOOLCALL> tags, a call alone between others."""
    rules = []
    for nth, tool in enumerate(tools):
        schema = _parameters(tool)
        arguments = {key: value for key, value in schema.items() if key not in _DEFINITIONS}
        arguments["type"] = "object"
        if "properties" in schema:  # no others, unless the schema says so
            arguments.setdefault("additionalProperties", False)
        call = {
            "type": "object",
            "properties": {"name": {"const": tool["name"]}, "arguments": arguments},
            "required": ["name", "arguments"],
            "additionalProperties": False,
            **_definitions(schema),
        }
        rules.append(f"call_{nth}: %json {_compact(call)}")
    is_list = tags.open.isupper()
    body = '"[" call "]"' if is_list else '"\\n" call "\\n"'
    return [f"body: {body}", _one_of("call", len(rules)), *rules]


def _xml_calls(tools: Sequence[Mapping[str, Any]], tags: Tags) -> list[str]:
    rules = ['body: "\\n<function=" call "</function>\\n"', _one_of("call", len(tools))]
    for nth, tool in enumerate(tools):
        schema = _parameters(tool)
        required = schema.get("required")
        required = required if isinstance(required, list) else []
        parts = [_quoted(f"{tool['name']}>\n")]
        for at, (key, value) in enumerate(properties_of(tool).items()):
            name = f"value_{nth}_{at}"
            parts.append(name if key in required else f"{name}?")
            rules.append(
                f"{name}: {_quoted(f'<parameter={key}>' + chr(10))} {_xml_value(value, schema)}"
            )
        rules.append(f"call_{nth}: {' '.join(parts)}")
    return [*rules, "text[lazy]: /(?s:.*)\\n<\\/parameter>\\n/"]


def _xml_value(value: Any, schema: Mapping[str, Any]) -> str:
    """A value and the tag after it; `tool_calls.py` reads it by the same types."""
    close = _quoted("\n</parameter>\n")
    kinds = kinds_of(value)
    if kinds and "string" not in kinds:
        return f"%json {_compact({**value, **_definitions(schema)})} {close}"
    choices = value.get("enum", [value["const"]] if "const" in value else None) if kinds else None
    if not choices:
        return "text"
    spelt = [each if isinstance(each, str) else json.dumps(each) for each in choices]
    return f"({' | '.join(map(_quoted, spelt))}) {close}"


def _one_of(name: str, count: int) -> str:
    return f"{name}: " + " | ".join(f"{name}_{nth}" for nth in range(count))


def _definitions(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What `$ref`s of a part of a schema refer to."""
    return {key: schema[key] for key in _DEFINITIONS if key in schema}


def _parameters(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    schema = tool.get("parameters")
    return schema if isinstance(schema, Mapping) and schema else _FREE


def _compact(schema: Mapping[str, Any]) -> str:
    return json.dumps(
        {**with_bounds(schema), "x-guidance": {"whitespace_flexible": False}}, ensure_ascii=False
    )


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
