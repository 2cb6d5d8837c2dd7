"""The application: two endpoints that answer, and three that tell."""

import asyncio
import hmac
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from ...errors import LatentVLMError
from ...vlm.engine import Engine
from ...vlm.vlm import VLM
from . import shapes
from .answering import GONE, Door, pieces_of, read_all, read_body
from .asked import prepare_chat, prepare_response
from .bodies import ChatBody, ResponsesBody
from .config import ServerConfig
from .described import (
    FIGURES,
    GUARDED,
    NAMED,
    ChatCompletion,
    Health,
    ModelEntry,
    ModelList,
    ResponseObject,
    answers_with,
    describe,
    takes,
)
from .errors import RequestError, error_response, status_of
from .metrics import Metrics
from .response_events import response_events
from .streaming import chat_events

_log = logging.getLogger(__name__)


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

    app = FastAPI(title="LatentVLM", lifespan=lifespan, openapi_url=None)
    app.openapi = describe(app, config.model_name)
    metrics = Metrics(engine)
    door = Door(config, engine)
    seconds = config.request_s
    created = int(time.time())

    bearer = HTTPBearer(auto_error=False, description="one of the server's keys")

    def authorize(
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    ) -> None:
        given = credentials.credentials.encode() if credentials is not None else b""
        if not any(hmac.compare_digest(given, key.encode()) for key in config.api_keys):
            raise RequestError("The API key is missing or wrong.", 401)

    guarded = [Depends(authorize)] if config.api_keys else []

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
        response = error_response(RequestError(f"{error.detail}.", error.status_code))
        response.headers.update(error.headers or {})
        return response

    @app.post(
        "/v1/chat/completions",
        dependencies=guarded,
        openapi_extra=takes(ChatBody),
        responses=answers_with(ChatCompletion),
    )
    async def chat(request: Request) -> Response:
        async with door.entered() as until:
            body = await read_body(request, ChatBody, config.max_body_bytes)
            check_model(body.model)
            streams = await door.start(request, lambda: prepare_chat(vlm, config, body), n=body.n)
        if streams is None:
            return _left(metrics, "chat")
        if body.stream:
            given = pieces_of(streams, until=until, request_s=seconds)
            pieces = _counted(given, metrics, "chat")
            return _events(chat_events(vlm, config.model_name, body, pieces))
        answers = await read_all(request, streams, until=until, request_s=seconds)
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

    @app.post(
        "/v1/responses",
        dependencies=guarded,
        openapi_extra=takes(ResponsesBody),
        responses=answers_with(ResponseObject),
    )
    async def responses(request: Request) -> Response:
        async with door.entered() as until:
            body = await read_body(request, ResponsesBody, config.max_body_bytes)
            check_model(body.model)
            streams = await door.start(request, lambda: prepare_response(vlm, config, body), n=1)
        if streams is None:
            return _left(metrics, "responses")
        if body.stream:
            given = pieces_of(streams, until=until, request_s=seconds)
            pieces = _counted(given, metrics, "responses")
            return _events(response_events(vlm, config.model_name, body, pieces))
        answers = await read_all(request, streams, until=until, request_s=seconds)
        if answers is None:
            return _left(metrics, "responses")
        metrics.answered(answers[0])
        metrics.count("responses", 200)
        idx = shapes.new_id("resp")
        return JSONResponse(shapes.response(vlm, config.model_name, idx, answers[0], body))

    card = {
        **{"id": config.model_name, "object": "model", "owned_by": "latentvlm"},
        **{"created": created, "max_model_len": vlm.context_length},
    }

    @app.get("/v1/models", dependencies=guarded, responses=GUARDED, response_model=ModelList)
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [card]}

    @app.get(
        "/v1/models/{name:path}",
        dependencies=guarded,
        responses=GUARDED | NAMED,
        response_model=ModelEntry,
    )
    async def model(name: str) -> dict[str, Any]:
        check_model(name)
        return card

    @app.get("/openapi.json", dependencies=guarded, include_in_schema=False)
    async def interface() -> dict[str, Any]:
        return app.openapi()

    @app.get("/health", response_model=Health)
    async def health() -> dict[str, Any]:
        state = engine.state()
        return {"status": "ok", "waiting": state.waiting, "writing": state.writing}

    @app.get("/metrics", dependencies=guarded, responses=FIGURES, response_class=Response)
    async def figures() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")

    return app


async def _counted(pieces: Any, metrics: Metrics, endpoint: str) -> AsyncIterator[Any]:
    status = GONE
    try:
        async for index, item in pieces:
            if hasattr(item, "usage"):
                metrics.answered(item)
            yield index, item
        status = 200
    except Exception as error:
        status = status_of(error)
        raise
    finally:
        await pieces.aclose()
        metrics.count(endpoint, status)


def _events(events: AsyncIterator[str]) -> StreamingResponse:
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


def _left(metrics: Metrics, endpoint: str) -> Response:
    metrics.count(endpoint, GONE)
    return Response(status_code=GONE)


def _endpoint(request: Request) -> str:
    known = {"/v1/chat/completions": "chat", "/v1/responses": "responses"}
    return known.get(request.url.path, "other")
