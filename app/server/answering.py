"""One request from body to answers: opened in a thread, written by the engine, dropped when nobody
waits for it any more."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from ...vlm.answer import Answer
from ...vlm.answer_parts import AnswerPiece
from ...vlm.engine import Engine
from ...vlm.engine_stream import EngineStream
from ...vlm.prepared import Prepared
from .config import ServerConfig
from .errors import RequestError

GONE = 499  # the client left; nobody reads it, but it is counted
_OPENED_AT_ONCE = 4
_LET_PASS = 4  # times the size that is taken

Body = TypeVar("Body", bound=BaseModel)


async def read_body(request: Request, kind: type[Body], most: int) -> Body:
    """The body, no more of which is held than is allowed.

    A client reads the refusal once it has sent all, so what is too much is let pass by for a while.

    Raises:
        RequestError: it is too large or not of this kind.
    """
    data, size = bytearray(), 0
    async for block in request.stream():
        size += len(block)
        if size <= most:
            data += block
        elif size > _LET_PASS * most:
            break
    if size > most:
        raise RequestError(f"The request has more than {most:,} bytes.", 413)
    try:
        return kind.model_validate_json(bytes(data))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise RequestError(f"{where or 'The body'}: {first['msg']}.", param=where or None) from None
    except (ValueError, RecursionError) as error:
        raise RequestError(f"The body cannot be read: {error}.") from None


class Door:
    """How requests come in: so many before the engine has them, so many opened at once, each with
    its time."""

    def __init__(self, config: ServerConfig, engine: Engine) -> None:
        self.request_s = config.request_s
        self._engine = engine
        self._most = engine.config.max_batch + engine.config.max_waiting
        self._inside = 0
        self._opening = asyncio.Semaphore(_OPENED_AT_ONCE)

    @contextlib.asynccontextmanager
    async def entered(self) -> AsyncIterator[float]:
        """A place for a request that is read and opened; gives when its time is over.

        Raises:
            RequestError: there is none, or reading and opening took too long.
        """
        if self._inside >= self._most:
            raise RequestError(f"{self._inside} requests come in already; try again later.", 429)
        until = asyncio.get_running_loop().time() + self.request_s
        self._inside += 1
        try:
            async with asyncio.timeout_at(until):
                yield until
        except TimeoutError:
            raise too_late(self.request_s) from None
        except ClientDisconnect:
            raise RequestError("The client left.", GONE) from None
        finally:
            self._inside -= 1

    async def start(
        self, request: Request, prepare: Callable[[], Prepared], *, n: int
    ) -> list[EngineStream] | None:
        """The streams of a request; None if its client is gone before it was opened."""
        self._engine.check_room(n=n)
        async with self._opening:
            if await request.is_disconnected():
                return None
            prepared = await asyncio.to_thread(prepare)
        return self._engine.submit(prepared, n=n)


def too_late(request_s: float) -> RequestError:
    return RequestError(f"The request takes more than {request_s:g} seconds.", 408)


async def read_all(
    request: Request, streams: list[EngineStream], *, until: float, request_s: float
) -> list[Answer] | None:
    """The answers, or None if the client went away, which frees their places at once.

    Raises:
        RequestError: they took too long.
    """
    reading = asyncio.gather(*(stream.read_async() for stream in streams))
    leaving = asyncio.ensure_future(_left(request))
    left_s = until - asyncio.get_running_loop().time()
    try:
        await asyncio.wait({reading, leaving}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            return list(reading.result())
        if leaving.done():
            return None
        raise too_late(request_s)
    finally:
        for stream in streams:
            stream.cancel()
        for task in (reading, leaving):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task


async def pieces_of(
    streams: list[EngineStream], *, until: float, request_s: float
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
        async with asyncio.timeout_at(until):
            while left:
                index, item = await merged.get()
                if isinstance(item, BaseException):
                    raise item
                left -= isinstance(item, Answer)
                yield index, item
    except TimeoutError:
        raise too_late(request_s) from None
    finally:
        for stream in streams:
            stream.cancel()
        for task in tasks:
            task.cancel()


async def _left(request: Request) -> None:
    """Returns when the client goes away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
