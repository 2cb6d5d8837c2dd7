"""The decoding process seen from outside: started when needed, used again, killed when stuck."""

import atexit
import contextlib
import functools
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from .worker import read_message, write_message

_START_S = 60.0
_MAX_IDLE = 2
_CODE = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
    "from importlib import import_module; import_module(sys.argv[2]).main()"
)


class StuckError(Exception):
    """The process gave no sign of life, or took too long; it is dead now."""


class DiedError(Exception):
    """The process ended by itself, in the middle of its work."""


class DecoderProcess:
    """One process, for one caller at a time."""

    def __init__(self) -> None:
        _end_with_us()
        self.python_path = list(sys.path)
        self.folder = os.getcwd()
        self.owner = os.getpid()
        name = f"{__package__}.worker"
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CODE, json.dumps(self.python_path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        # Few messages wait: the process stops decoding while nobody takes its frames.
        self._messages: queue.Queue[Any] = queue.Queue(maxsize=4)
        threading.Thread(target=self._listen, daemon=True).start()
        self.receive(stall_s=_START_S, until=time.monotonic() + _START_S)

    def fits(self, owner: int, python_path: list[str], folder: str) -> bool:
        """Whether it finds the same modules and files as a process of its caller's own would."""
        return (self.owner, self.python_path, self.folder) == (owner, python_path, folder)

    def send(self, request: Mapping[str, Any]) -> None:
        """A request; its answers are received one by one.

        Raises:
            DiedError: the process is gone.
        """
        assert self._process.stdin is not None
        try:
            write_message(self._process.stdin, request)  # type: ignore[arg-type]
        except OSError as error:
            self.kill()
            raise DiedError from error

    def receive(self, *, stall_s: float, until: float) -> tuple[dict[str, Any], bytes]:
        """The next message that is no sign of life.

        Args:
            stall_s: seconds that it may be silent.
            until: by `time.monotonic`, when the whole must be done.

        Raises:
            StuckError, DiedError: and the process is dead.
        """
        while True:
            left = min(stall_s, until - time.monotonic())
            try:
                message = self._messages.get(timeout=max(0.0, left))
            except queue.Empty:
                self.kill()
                raise StuckError from None
            if message is None:
                self.kill()
                raise DiedError
            if "alive" not in message[0]:
                return message

    def kill(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(queue.Empty):  # so that the listener can end
            while True:
                self._messages.get_nowait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        message = None
        with contextlib.suppress(OSError, ValueError):
            while (message := read_message(self._process.stdout)) is not None:  # type: ignore[arg-type]
                self._messages.put(message)
        self._messages.put(None)


_idle: list[DecoderProcess] = []
_lock = threading.Lock()


@contextlib.contextmanager
def decoder_process() -> Iterator[DecoderProcess]:
    """A process of the caller's own; kept for the next one if all went well.

    A killed process raises in its caller, who may simply ask for another.
    """
    process = _take() or DecoderProcess()
    try:
        yield process
    except BaseException:
        process.kill()
        raise
    with _lock:
        is_kept = len(_idle) < _MAX_IDLE
        if is_kept:
            _idle.append(process)
    if not is_kept:
        process.kill()


def _take() -> DecoderProcess | None:
    with _lock:
        # After a fork the processes belong to the parent; path and folder may have changed since.
        fit = [each for each in _idle if each.fits(os.getpid(), sys.path, os.getcwd())]
        if not fit:
            return None
        _idle.remove(fit[-1])
        return fit[-1]


@functools.cache
def _end_with_us() -> None:
    atexit.register(_end_all)


def _end_all() -> None:
    with _lock:
        while _idle:
            process = _idle.pop()
            if process.owner == os.getpid():
                process.kill()
