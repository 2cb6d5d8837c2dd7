"""Tools and tool calls as messages hold them, in the form that chat templates read.

a tool   {"type": "function", "function": {"name", "description", "parameters"}}, or only
         the inner mapping; `parameters` is a JSON schema
a call   {"type": "function", "function": {"name", "arguments"}}, or only the inner one
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import PromptError


def function_of(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """The inner mapping of a tool or a call, however it was given."""
    inner = value.get("function")
    return inner if isinstance(inner, Mapping) else value


def check_tools(tools: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The tools as they are, each with a name.

    Raises:
        PromptError: they are no list of mappings, or one has no name.
    """
    if isinstance(tools, str | Mapping) or not isinstance(tools, Sequence):
        raise PromptError(f"tools must be a list of mappings, not a {type(tools).__name__}.")
    for idx, tool in enumerate(tools):
        if not isinstance(tool, Mapping) or not isinstance(function_of(tool).get("name"), str):
            raise PromptError(
                f"Tool {idx} has no name: give {{'type': 'function', 'function': {{'name': ..., "
                "'parameters': ...}}."
            )
    return list(tools)


def check_tool_calls(calls: Any, idx: int) -> list[dict[str, Any]]:
    """The calls of message `idx`, their arguments as mappings, which every template can write.

    Raises:
        PromptError: a call has no name, or arguments that are no JSON object.
    """
    if not isinstance(calls, Sequence) or isinstance(calls, str):
        raise PromptError(f"The tool_calls of message {idx} must be a list.")
    found = []
    for call in calls:
        function = function_of(call) if isinstance(call, Mapping) else {}
        name, arguments = function.get("name"), function.get("arguments", {})
        if not isinstance(name, str):
            raise PromptError(f"Message {idx} holds a tool call without a name.")
        if isinstance(arguments, str):  # as the OpenAI protocol sends them
            try:
                arguments = json.loads(arguments or "{}")
            except ValueError:
                arguments = None
        if not isinstance(arguments, Mapping):
            raise PromptError(
                f"Message {idx} calls {name} with arguments that are not a JSON object."
            )
        inner = {**function, "arguments": dict(arguments)}
        found.append({**call, "function": inner} if function is not call else inner)
    return found
