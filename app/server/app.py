"""The application: two endpoints that answer, and three that tell."""

import asyncio
import hmac
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException

from ...errors import LatentVLMError
from ...vlm.api import VLM
from ...vlm.engine import Engine
from . import shapes
from .answering import pieces_of, read_all, read_body, start
from .asked import prepare_chat, prepare_response
from .bodies import ChatBody, ResponsesBody
from .config import ServerConfig
from .errors import RequestError, error_response
from .metrics import Metrics
from .streaming import chat_events, response_events

_log = logging.getLogger(__name__)
_OPENED_AT_ONCE = 4
_GONE = 499  # the client left; nobody reads it, but it is counted


def create_app(vlm: VLM, config: ServerConfig, engine: Engine) -> FastAPI:
    """The server's application over one model.

    Args:
        vlm: answers.
        config: what may be asked for.
        engine: of that model; closed when the application ends.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(engine.close, cancel=True, timeout=config.drain_s)

    app = FastAPI(title="LatentVLM", lifespan=lifespan, docs_url=None, redoc_url=None)
    metrics = Metrics(engine)
    opening = asyncio.Semaphore(_OPENED_AT_ONCE)
    created = int(time.time())

    def authorize(request: Request) -> None:
        if not config.api_keys:
            return
        given = request.headers.get("authorization", "").removeprefix("Bearer ").encode()
        if not any(hmac.compare_digest(given, key.encode()) for key in config.api_keys):
            raise RequestError("The API key is missing or wrong.", 401)

    guarded = [Depends(authorize)]

    def check_model(asked: str) -> None:
        if asked not in ("", config.model_name):
            raise RequestError(f"This server's model is {config.model_name}.", 404, "model")

    @app.exception_handler(LatentVLMError)
    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        response = error_response(error)
        if response.status_code >= 500:
            _log.error("%s failed", request.url.path, exc_info=error)
        metrics.count(_endpoint(request), response.status_code)
        return response

    @app.exception_handler(HTTPException)
    async def no_route(_: Request, error: HTTPException) -> Response:
        return error_response(RequestError(f"{error.detail}.", error.status_code))

    @app.post("/v1/chat/completions", dependencies=guarded, openapi_extra=_takes(ChatBody))
    async def chat(request: Request) -> Response:
        body = await read_body(request, ChatBody, config.max_body_bytes)
        check_model(body.model)
        streams = await start(
            engine, lambda: prepare_chat(vlm, config, body), n=body.n, opening=opening
        )
        if body.stream:
            pieces = _counted(pieces_of(streams, config), metrics, "chat")
            return _events(chat_events(vlm, config.model_name, body, pieces))
        answers = await read_all(request, streams, config)
        if answers is None:
            return _left(metrics, "chat")
        for answer in answers:
            metrics.answered(answer)
        metrics.count("chat", 200)
        logprobs = bool(body.logprobs)
        return JSONResponse(
            {
                "id": shapes.new_id("chatcmpl"),
                "object": "chat.completion",
                "created": int(time.time()),
                "model": config.model_name,
                "choices": [
                    shapes.chat_choice(vlm, index, answer, with_logprobs=logprobs)
                    for index, answer in enumerate(answers)
                ],
                "usage": shapes.chat_usage(answers),
            }
        )

    @app.post("/v1/responses", dependencies=guarded, openapi_extra=_takes(ResponsesBody))
    async def responses(request: Request) -> Response:
        body = await read_body(request, ResponsesBody, config.max_body_bytes)
        check_model(body.model)
        streams = await start(
            engine, lambda: prepare_response(vlm, config, body), n=1, opening=opening
        )
        tools = body.tools or []
        if body.stream:
            pieces = _counted(pieces_of(streams, config), metrics, "responses")
            return _events(response_events(config.model_name, tools, pieces))
        answers = await read_all(request, streams, config)
        if answers is None:
            return _left(metrics, "responses")
        metrics.answered(answers[0])
        metrics.count("responses", 200)
        idx = shapes.new_id("resp")
        return JSONResponse(shapes.response(config.model_name, idx, answers[0], tools))

    @app.get("/v1/models", dependencies=guarded)
    async def models() -> dict[str, Any]:
        model = {"id": config.model_name, "object": "model", "owned_by": "latentvlm"}
        context = vlm.context_length
        return {
            "object": "list",
            "data": [{**model, "created": created, "max_model_len": context}],
        }

    @app.get("/health")
    async def health() -> dict[str, Any]:
        state = engine.state()
        return {"status": "ok", "waiting": state.waiting, "writing": state.writing}

    @app.get("/metrics", dependencies=guarded)
    async def figures() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")

    return app


def _takes(kind: type[ChatBody] | type[ResponsesBody]) -> dict[str, Any]:
    """What the description of the interface says of a body that is read by hand."""
    schema = kind.model_json_schema()
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


async def _counted(pieces: Any, metrics: Metrics, endpoint: str) -> AsyncIterator[Any]:
    status = _GONE
    try:
        async for index, item in pieces:
            if hasattr(item, "usage"):
                metrics.answered(item)
            yield index, item
        status = 200
    except Exception:
        status = 500
        raise
    finally:
        await pieces.aclose()
        metrics.count(endpoint, status)


def _events(events: AsyncIterator[str]) -> StreamingResponse:
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


def _left(metrics: Metrics, endpoint: str) -> Response:
    metrics.count(endpoint, _GONE)
    return Response(status_code=_GONE)


def _endpoint(request: Request) -> str:
    return "responses" if request.url.path.endswith("responses") else "chat"
