"""Stopping a run from outside: the step in progress is finished and a checkpoint written."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def on_stop_signals(ask: Callable[[], None]) -> Iterator[None]:
    """While inside, SIGTERM and SIGINT call `ask` instead of ending the process."""
    before = {}
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(ValueError):  # not in the main thread
            before[number] = signal.signal(number, lambda *_: ask())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
