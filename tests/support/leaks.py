"""What a process holds, to see that it holds no more after its work than before."""

import gc
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# asyncio keeps threads for the next call, up to a number.
_KEPT = "asyncio_"


def resident_bytes(pid: int | str = "self") -> int:
    """Of a process; the test is skipped where that cannot be read."""
    path = Path(f"/proc/{pid}/statm")
    if not path.exists():
        pytest.skip("memory is read from /proc")
    return int(path.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_files(pid: int | str = "self") -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _held() -> dict[str, int]:
    threads = [each for each in threading.enumerate() if not each.name.startswith(_KEPT)]
    return {"threads": len(threads), "open files": open_files()}


@contextmanager
def no_leak(monkeypatch: pytest.MonkeyPatch, folder: Path, *, most_bytes: int) -> Iterator[None]:
    """Threads, open files, temporary files and memory are as before; do what warms up first."""
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    memory, before = resident_bytes(), _held()
    yield
    until = time.monotonic() + 20
    while True:  # connections take a moment to be closed
        gc.collect()
        more = {key: n for key, n in _held().items() if n > before[key]}
        if not more or time.monotonic() > until:
            break
        time.sleep(0.1)
    assert not more, f"{more}, before: {before}"
    assert not list(folder.iterdir()), "temporary files were left"
    grown = resident_bytes() - memory
    assert grown < most_bytes, f"{grown / 2**20:.0f} MB more"
