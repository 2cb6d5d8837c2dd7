"""An answer that an engine writes, as its reader sees it: in a thread, or in an event loop."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial

from .answer import Answer
from .answer_parts import AnswerPiece
from .answer_pieces import AnswerPieces

Item = AnswerPiece | Answer | BaseException


class Channel:
    """From the engine's thread to one reader; the last item is an answer or an error.

    Attributes:
        is_cancelled: whether the reader wants no more.
    """

    def __init__(self) -> None:
        self.is_cancelled = False
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._wakers: list[Callable[[], object]] = []

    def put(self, item: Item) -> None:
        with self._changed:
            self._items.append(item)
            self._changed.notify_all()
            wakers, self._wakers = self._wakers, []
        for wake in wakers:
            wake()

    def get(self) -> Item:
        """The next item, once there is one."""
        with self._changed:
            self._changed.wait_for(lambda: self._items)
            return self._items.popleft()

    async def get_async(self) -> Item:
        """As `get`, for an event loop."""
        loop = asyncio.get_running_loop()
        while True:
            arrived = asyncio.Event()
            with self._changed:
                if self._items:
                    return self._items.popleft()
                self._wakers.append(partial(_wake, loop, arrived))
            await arrived.wait()


def _wake(loop: asyncio.AbstractEventLoop, arrived: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(arrived.set)


class EngineStream(AnswerPieces, AsyncIterator[str]):
    """Iterate it, with `for` or `async for`, for pieces of text, which joined are `answer.text`.

    The engine writes on whether or not they are read; a stream that nobody holds any more, or
    whose task is cancelled, is cancelled. It has one reader, in one thread or one event loop.

    Example:
        ```python
        import latentvlm

        stream = latentvlm.load().engine.stream("What is the total?", "invoice.png")
        for piece in stream:
            print(piece, end="", flush=True)
        print(stream.answer.confidence)
        ```
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._error: BaseException | None = None

    async def __anext__(self) -> str:
        async for piece in self.parts_async():
            if piece.kind == "text":
                return piece.text
        raise StopAsyncIteration

    def parts(self) -> Iterator[AnswerPiece]:
        """Pieces of the thought and of the answer, in the order in which they are written.

        Raises:
            LatentVLMError: the answer could not be written to its end.
        """
        while not self._is_over():
            if (piece := self._accept(self._channel.get())) is not None:
                yield piece

    async def parts_async(self) -> AsyncIterator[AnswerPiece]:
        """As `parts`, for an event loop."""
        while not self._is_over():
            try:
                item = await self._channel.get_async()
            except asyncio.CancelledError:
                self.cancel()
                raise
            if (piece := self._accept(item)) is not None:
                yield piece

    async def read_async(self) -> Answer:
        """As `read`, for an event loop."""
        async for _ in self.parts_async():
            pass
        return self.answer

    def cancel(self) -> None:
        """Have nothing more written: the place is free before the next token.

        What was written until then is the answer, whose finish reason is "cancelled".
        """
        self._channel.is_cancelled = True

    def __del__(self) -> None:
        self._channel.is_cancelled = True

    def _is_over(self) -> bool:
        if self._error is not None:
            raise self._error
        return self._answer is not None

    def _accept(self, item: Item) -> AnswerPiece | None:
        if isinstance(item, AnswerPiece):
            return item
        if isinstance(item, Answer):
            self._answer = item
            return None
        self._error = item
        raise item
