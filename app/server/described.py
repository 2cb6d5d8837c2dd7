"""The interface as OpenAPI tells it: bodies that are read by hand, answers, refusals, the key."""

from collections.abc import Callable
from typing import Any, Literal

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import models_json_schema

from .bodies import ChatBody, ResponsesBody

_REF = "#/components/schemas/{model}"
_STREAM: dict[str, Any] = {"text/event-stream": {}}


class _Open(BaseModel):
    """Has more keys than are told here."""

    model_config = ConfigDict(extra="allow")


class ErrorDetail(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class Failure(BaseModel):
    """What a refused request comes back with: one sentence."""

    error: ErrorDetail


class ChatMessage(_Open):
    role: Literal["assistant"]
    content: str | None
    reasoning_content: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


class ChatChoice(_Open):
    index: int
    message: ChatMessage
    finish_reason: Literal["stop", "length", "tool_calls"]
    logprobs: dict[str, Any] | None
    latentvlm: dict[str, Any]


class ChatUsage(_Open):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: dict[str, int]
    completion_tokens_details: dict[str, int]


class ChatCompletion(_Open):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: ChatUsage


class ResponseUsage(_Open):
    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: dict[str, int]
    output_tokens_details: dict[str, int]


class ResponseObject(_Open):
    id: str
    object: Literal["response"]
    created_at: int
    model: str
    status: Literal["completed", "incomplete"]
    output: list[dict[str, Any]]
    usage: ResponseUsage
    latentvlm: dict[str, Any]


class ModelEntry(BaseModel):
    id: str
    object: Literal["model"]
    owned_by: str
    created: int
    max_model_len: int | None


class ModelList(BaseModel):
    object: Literal["list"]
    data: list[ModelEntry]


class Health(BaseModel):
    status: Literal["ok"]
    waiting: int
    writing: int


FIGURES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Figures"},
    401: {
        "content": {"application/json": {"schema": {"$ref": _REF.format(model="Failure")}}},
        "description": "No valid key",
    },
}
GUARDED: dict[int | str, dict[str, Any]] = {401: {"model": Failure, "description": "No valid key"}}
NAMED = GUARDED | {404: {"model": Failure, "description": "Another model is asked for"}}
ASKED: dict[int | str, dict[str, Any]] = GUARDED | {
    status: {"model": Failure, "description": why}
    for status, why in (
        (400, "Something in the request cannot be"),
        (403, "A file that may not be read"),
        (404, "Another model is asked for"),
        (408, "It takes too long"),
        (413, "It is too large"),
        (429, "The queue is full"),
        (501, "A part of the server is not installed"),
    )
}


def answers_with(kind: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """The responses of an endpoint that answers whole or, if asked to, as it writes."""
    return {200: {"model": kind, "content": _STREAM, "description": "The answer"}, **ASKED}


def takes(kind: type[ChatBody] | type[ResponsesBody]) -> dict[str, Any]:
    """A body that the endpoint reads by itself."""
    schema = {"$ref": _REF.format(model=kind.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def describe(app: FastAPI, model_name: str) -> Callable[[], dict[str, Any]]:
    """In place of `app.openapi`: the bodies are among the components, to which they refer."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = get_openapi(title=app.title, version=app.version, routes=app.routes)
            _, bodies = models_json_schema(
                [(ChatBody, "validation"), (ResponsesBody, "validation")], ref_template=_REF
            )
            for body in ("ChatBody", "ResponsesBody"):
                bodies["$defs"][body]["properties"]["model"]["enum"] = ["", model_name]
            found["components"]["schemas"] |= bodies["$defs"]
            app.openapi_schema = found
        return app.openapi_schema

    return openapi
