"""Stopping a run from outside: the step in progress is finished and a checkpoint written."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterable, Iterator


@contextlib.contextmanager
def on_stop_signals(
    ask: Callable[[], None], numbers: Iterable[int] = (signal.SIGTERM, signal.SIGINT)
) -> Iterator[None]:
    """While inside, these signals call `ask` instead of ending the process."""
    before = {}
    for number in numbers:
        with contextlib.suppress(ValueError):  # not in the main thread
            before[number] = signal.signal(number, lambda *_: ask())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
