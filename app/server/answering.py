"""One request from body to answers: opened in a thread, written by the engine, dropped when nobody
waits for it any more."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from ...vlm.answer import Answer
from ...vlm.answer_parts import AnswerPiece
from ...vlm.engine import Engine
from ...vlm.engine_stream import EngineStream
from ...vlm.prepared import Prepared
from .config import ServerConfig
from .errors import RequestError

Body = TypeVar("Body", bound=BaseModel)


async def read_body(request: Request, kind: type[Body], most: int) -> Body:
    """The body, no more of which is held than is allowed.

    Raises:
        RequestError: it is too large or not of this kind.
    """
    data = bytearray()
    async for block in request.stream():
        data += block
        if len(data) > most:
            raise RequestError(f"The request has more than {most:,} bytes.", 413)
    try:
        return kind.model_validate_json(bytes(data))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise RequestError(f"{where or 'The body'}: {first['msg']}.", param=where or None) from None
    except (ValueError, RecursionError) as error:
        raise RequestError(f"The body cannot be read: {error}.") from None


async def start(
    engine: Engine, prepare: Callable[[], Prepared], *, n: int, opening: asyncio.Semaphore
) -> list[EngineStream]:
    """The streams of a request; as many are opened at once as `opening` lets through."""
    engine.check_room(n=n)
    async with opening:
        prepared = await asyncio.to_thread(prepare)
    return engine.submit(prepared, n=n)


async def read_all(
    request: Request, streams: list[EngineStream], config: ServerConfig
) -> list[Answer] | None:
    """The answers, or None if the client went away, which frees their places at once.

    Raises:
        RequestError: they took too long.
    """
    reading = asyncio.gather(*(stream.read_async() for stream in streams))
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait(
            {reading, leaving}, timeout=config.request_s, return_when=asyncio.FIRST_COMPLETED
        )
        if reading.done():
            return list(reading.result())
        if leaving.done():
            return None
        raise RequestError(f"The answer takes more than {config.request_s:g} seconds.", 408)
    finally:
        for stream in streams:
            stream.cancel()
        for task in (reading, leaving):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task


async def pieces_of(
    streams: list[EngineStream], config: ServerConfig
) -> AsyncIterator[tuple[int, AnswerPiece | Answer]]:
    """What the streams give, with the number of the stream, as it comes; each ends with its answer.

    Raises:
        RequestError: they took too long.
    """
    merged: asyncio.Queue[tuple[int, AnswerPiece | Answer | BaseException]] = asyncio.Queue()

    async def follow(index: int, stream: EngineStream) -> None:
        try:
            async for piece in stream.parts_async():
                merged.put_nowait((index, piece))
            merged.put_nowait((index, stream.answer))
        except Exception as error:
            merged.put_nowait((index, error))

    tasks = [asyncio.create_task(follow(*each)) for each in enumerate(streams)]
    left = len(streams)
    try:
        async with asyncio.timeout(config.request_s):
            while left:
                index, item = await merged.get()
                if isinstance(item, BaseException):
                    raise item
                left -= isinstance(item, Answer)
                yield index, item
    except TimeoutError:
        raise RequestError(
            f"The answer takes more than {config.request_s:g} seconds.", 408
        ) from None
    finally:
        for stream in streams:
            stream.cancel()
        for task in tasks:
            task.cancel()


async def _left(request: Request) -> None:
    """Returns when the client goes away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
