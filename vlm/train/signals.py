"""Stopping a run from outside: the step in progress is finished and a checkpoint written."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterable, Iterator


@contextlib.contextmanager
def on_stop_signals(
    ask: Callable[[int], None], numbers: Iterable[int] = (signal.SIGTERM, signal.SIGINT)
) -> Iterator[None]:
    """While inside, these signals call `ask` with their number instead of ending the process.

    A second Ctrl-C does what it did outside.
    """
    before = {}

    def handle(number: int, _: object) -> None:
        ask(number)
        if number == signal.SIGINT:
            signal.signal(number, before[number])

    for number in numbers:
        with contextlib.suppress(ValueError):  # not in the main thread
            before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
