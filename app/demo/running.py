"""What is being answered for whom, so that it can be stopped."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Running:
    """For each visitor a flag that ends what is being written for them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flags: dict[str, list[threading.Event]] = {}

    @contextmanager
    def of(self, visitor: str) -> Iterator[threading.Event]:
        """A flag for one answer; leaving sets it, so nothing is written that nobody waits for."""
        flag = threading.Event()
        with self._lock:
            self._flags.setdefault(visitor, []).append(flag)
        try:
            yield flag
        finally:
            flag.set()
            with self._lock:
                self._flags[visitor].remove(flag)
                if not self._flags[visitor]:
                    del self._flags[visitor]

    def stop(self, visitor: str) -> None:
        """End all that is being written for one visitor."""
        with self._lock:
            for flag in self._flags.get(visitor, ()):
                flag.set()
