"""What the two endpoints take: OpenAI's keys, and ours beside them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from .errors import RequestError
from .message_schema import ITEM, MESSAGE


class Options(BaseModel):
    """Keys that both endpoints have. Unknown keys are refused; a few are known to say nothing."""

    model_config = ConfigDict(extra="forbid")

    model: str = ""
    stream: bool = False
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=0)
    min_p: float | None = Field(None, ge=0, le=1)
    repetition_penalty: float | None = Field(None, gt=0, le=10)
    seed: int | None = Field(None, ge=0, lt=2**63)
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    thinking: bool | None = None
    thinking_budget: int | None = Field(None, ge=0)
    evs_rate: float | None = Field(None, ge=0, lt=1)
    token_budget: int | None = Field(None, ge=1)
    frames: int | None = Field(None, ge=1)
    pages: str | None = None
    dpi: float | None = Field(None, gt=0, le=1200)
    user: str | None = None
    metadata: dict[str, Any] | None = None
    store: bool | None = None
    service_tier: Literal["auto", "default"] | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="forbid")

    include_usage: bool = False
    include_obfuscation: bool | None = None


class ChatBody(Options):
    """`POST /v1/chat/completions`."""

    messages: list[dict[str, Any]] = Field(min_length=1, json_schema_extra={"items": MESSAGE})
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    stop: str | list[str] | None = None
    n: int = Field(1, ge=1)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    response_format: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    stream_options: StreamOptions | None = None
    frequency_penalty: Literal[0] | float | None = None
    presence_penalty: Literal[0] | float | None = None


class ResponsesBody(Options):
    """`POST /v1/responses`."""

    input: str | Annotated[list[dict[str, Any]], Field(json_schema_extra={"items": ITEM})]
    instructions: str | None = None
    max_output_tokens: int | None = Field(None, ge=1)
    text: dict[str, Any] | None = None
    reasoning: dict[str, Any] | None = None
    truncation: Literal["disabled"] | None = None
    previous_response_id: None = None
    include: list[Literal["message.output_text.logprobs"]] | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)

    @property
    def wants_logprobs(self) -> bool:
        return bool(self.include)


def answer_format(asked: dict[str, Any] | None) -> Any:
    """`response_format`, or `text.format`, as `VLM.ask` takes it.

    Raises:
        RequestError: it is of no known type, or has no schema.
    """
    kind = (asked or {}).get("type", "text")
    if asked is None or kind == "text":
        return None
    if kind == "json_object":
        return "json"
    if kind != "json_schema":
        raise RequestError(
            "response_format has a type other than text, json_object and json_schema.",
            param="response_format",
        )
    schema = asked.get("json_schema", asked)
    schema = schema.get("schema") if isinstance(schema, dict) else None
    if not isinstance(schema, dict):
        raise RequestError("response_format has no schema.", param="response_format")
    return schema


def offered_tools(options: Options) -> tuple[list[dict[str, Any]], str]:
    """The tools that the model sees, and which of them it must call, as `VLM.ask` takes them.

    Those of the responses endpoint are flat.

    Raises:
        RequestError: `tool_choice` is of no known kind.
    """
    tools = [
        {"type": "function", "function": {k: v for k, v in tool.items() if k != "type"}}
        if tool.get("type") == "function" and "function" not in tool
        else tool
        for tool in options.tools or []
    ]
    choice = options.tool_choice
    if choice == "none":
        return [], "auto"
    if choice in (None, "auto", "required"):
        return tools, choice or "auto"
    if isinstance(choice, dict) and choice.get("type") == "function":
        function = choice.get("function", choice)
        name = function.get("name") if isinstance(function, dict) else None
        if isinstance(name, str):
            return tools, name
    raise RequestError(
        "tool_choice is 'auto', 'none', 'required', or a function by its name.", param="tool_choice"
    )
