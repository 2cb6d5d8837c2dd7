"""Many answers at once: prompts are read and answers written together, as requests come and go.

    submit -> waiting -> reading -> writing -> EngineStream
               queue     prompt     one token of every answer a step

What happens in the engine's thread is in `engine_loop.py`.
"""

import atexit
import functools
import threading
import weakref
from collections.abc import Sequence
from typing import Protocol, Unpack

from ..data.chat import Message
from ..errors import BusyError, ConfigError, PromptError
from .ask_options import AskOptions
from .asking import Request, make_request
from .engine_config import EngineConfig, EngineState
from .engine_job import Job
from .engine_loop import EngineLoop
from .engine_stream import EngineStream
from .prepared import Prepared
from .prompt import Model, language_model
from .verbs import Verbs

_LAST_STEP_S = 10.0
_engines: "weakref.WeakSet[Engine]" = weakref.WeakSet()


class Asked(Protocol):
    """What an engine needs of a `VLM`."""

    model: Model

    def prepare(self, request: Request) -> Prepared: ...


class Engine(EngineLoop, Verbs[EngineStream]):
    """Answers requests of any thread, many at once. Its own thread lives while there is work.

    A request is opened and checked in the thread that asks, so bad input is raised there; what
    goes wrong later is raised where its stream is read, and harms no other request.

    Example:
        ```python
        import latentvlm

        with latentvlm.load().new_engine(max_batch=4) as engine:
            questions = ["What is the total?", "Who is it from?"]
            streams = [engine.stream(question, "invoice.png") for question in questions]
            print([stream.read().text for stream in streams], engine.state())
        ```
    """

    def __init__(self, vlm: Asked, config: EngineConfig | None = None) -> None:
        super().__init__(language_model(vlm.model), config or EngineConfig())
        self._vlm = vlm
        self._is_closed = False
        _end_with_the_interpreter()
        _engines.add(self)

    def stream_chat(
        self, messages: Sequence[Message], **options: Unpack[AskOptions]
    ) -> EngineStream:
        """As `VLM.stream_chat`; the engine begins at once."""
        self.check_room(n=1)
        return self.submit(self._vlm.prepare(make_request(messages, **options)))[0]

    def submit(self, prepared: Prepared, *, n: int = 1, wait: bool = False) -> list[EngineStream]:
        """Queue a request whose media are open.

        Args:
            prepared: from `VLM.prepare`.
            n: how many answers. The prompt is read once; the seed of each but the first is one
                more than that of the one before.
            wait: for a place in the queue, instead of raising `BusyError`.

        Raises:
            BusyError: the queue is full, or the engine was closed.
            PromptError: the request is larger than all that may be in work together.
        """
        self.check_room(n=n, wait=wait)
        job = Job(self._vlm.model, prepared, n)
        most = self.config.max_tokens
        if most is not None and job.most_tokens > most:
            raise PromptError(
                f"Prompt and answer may come to {job.most_tokens} tokens, more than the {most} "
                "that may be in work together; give fewer pages or a smaller max_tokens."
            )
        streams = [EngineStream(writing.channel) for writing in job.writings]
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._is_closed or not self._is_full())
            self._raise_if_busy()
            self._waiting.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
                self._thread.start()
        return streams

    def state(self) -> EngineState:
        """What it does now."""
        with self._changed:
            return EngineState(
                waiting=len(self._waiting),
                reading=len(self._reading),
                writing=len(self._writing),
                media_hits=self._media.hits,
                media_misses=self._media.misses,
                media_bytes=self._media.num_bytes,
                **self._counts,
            )

    def close(self, *, cancel: bool = False, timeout: float | None = None) -> bool:
        """Take no more requests, and wait until those that were taken are done.

        Args:
            cancel: end them where they are.
            timeout: how long to wait, in seconds.

        Returns:
            Whether all are done.
        """
        with self._changed:
            self._is_closed = True
            if cancel:
                jobs = [*self._waiting, *self._reading]
                for writing in [*self._writing, *(w for job in jobs for w in job.writings)]:
                    writing.channel.is_cancelled = True
            self._changed.notify_all()
        return self.drain(timeout=timeout)

    def drain(self, *, timeout: float | None = None) -> bool:
        """Wait until nothing is in work; whether it came to that in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._thread is None, timeout)

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.close(cancel=kind is not None)

    def _is_full(self) -> bool:
        # A request goes straight through a queue of no length where there is a free place.
        used = len(self._writing) + sum(len(job.writings) for job in self._reading)
        free = 0 if used >= self.config.max_batch else 1
        return len(self._waiting) >= max(self.config.max_waiting, free)

    def check_room(self, *, n: int, wait: bool = False) -> None:
        """Refuse before anything is opened.

        Raises:
            BusyError: the queue is full, unless one waits, or the engine was closed.
            ConfigError: so many answers have no place.
        """
        if not isinstance(n, int) or not 1 <= n <= self.config.max_batch:
            raise ConfigError(f"n is {n!r} but must be from 1 to {self.config.max_batch}.")
        if not wait:
            with self._changed:
                self._raise_if_busy()

    def _raise_if_busy(self) -> None:
        if self._is_closed:
            raise BusyError("The engine was closed and takes no more requests.")
        if self._is_full():
            raise BusyError(
                f"{len(self._waiting)} requests wait already, as many as may; try again later."
            )


@functools.cache
def _end_with_the_interpreter() -> None:
    atexit.register(_end_all)


def _end_all() -> None:
    """Let no thread be inside PyTorch when the interpreter ends: that aborts the process."""
    for engine in list(_engines):
        thread = engine._thread
        engine.close(cancel=True, timeout=_LAST_STEP_S)
        if thread is not None:
            thread.join(_LAST_STEP_S)
