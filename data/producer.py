"""Shards drawn ahead of the reader by worker processes, or on demand without any.

A plan says what shard k holds, as a pure function of k; so a shard that is missing (deleted
after use, or never drawn before a stop) is simply drawn again, with the same bytes.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from ..errors import DataError
from .shards import Record, write_shard


class Plan(Protocol):
    """What the shards hold. Plans travel to worker processes, so they can be pickled."""

    def records(self, shard: int) -> Iterator[Record]:
        """The records of shard `shard`, the same ones on every call."""
        ...


class ShardFolder:
    """Shards that lie in a folder already, read in the order of their names.

    Args:
        folder: holds `*.tar` files.
        epochs: how often to go through them; `None` for without end.
    """

    def __init__(self, folder: str | Path, *, epochs: int | None = 1):
        self.paths = sorted(Path(folder).glob("*.tar"))
        if not self.paths:
            raise DataError(f"folder {folder} holds no .tar shard; correct the path")
        self.epochs = epochs

    def path(self, shard: int) -> Path | None:
        """The file of the shard, or `None` after the last one."""
        if self.epochs is not None and shard >= self.epochs * len(self.paths):
            return None
        return self.paths[shard % len(self.paths)]

    def release(self, shard: int) -> None:
        """Shards that were given are never deleted."""

    def close(self) -> None:
        """Nothing is held open."""


class ShardProducer:
    """Shards drawn from a plan into a folder, at most `ahead` in front of the reader.

    Args:
        plan: what each shard holds.
        folder: where the shards go, each written whole or not at all.
        workers: processes that draw; with 0 a shard is drawn when it is asked for.
        ahead: how many shards beyond the reader's may lie ready.
        keep: leave shards that were read where they are.
        cpus: processors the workers may use; `None` leaves that to the system.
    """

    def __init__(
        self,
        plan: Plan,
        folder: str | Path,
        *,
        workers: int = 1,
        ahead: int = 4,
        keep: bool = False,
        cpus: Sequence[int] | None = None,
    ):
        self.plan = plan
        self.folder = Path(folder)
        self.workers = workers
        self.ahead = max(ahead, workers)
        self.keep = keep
        self.cpus = list(cpus) if cpus is not None else None
        self._processes: list = []
        self._position = None
        self._stop = None

    def path(self, shard: int) -> Path:
        """The file of the shard; waits for it, or draws it here if no worker will."""
        path = shard_path(self.folder, shard)
        if self.workers and not self._processes:
            self._start(shard)
        if self._position is not None and shard > self._position.value:
            self._position.value = shard
        while not path.exists():
            # Shards behind the reader are nobody's task; a worker that died would have raised.
            here = self._position is None or shard < self._position.value
            if here or not self._processes[shard % self.workers].is_alive():
                write_shard(path, self.plan.records(shard))
            else:
                time.sleep(0.01)
        return path

    def release(self, shard: int) -> None:
        """Say that the shard was read to its end."""
        if not self.keep:
            shard_path(self.folder, shard).unlink(missing_ok=True)

    def close(self) -> None:
        """Stop the workers; a shard half drawn is dropped."""
        if self._stop is not None:
            self._stop.set()
        for process in self._processes:
            process.join(timeout=2)
            if process.is_alive():
                process.terminate()
                process.join(timeout=2)
        self._processes, self._position, self._stop = [], None, None

    def __enter__(self) -> ShardProducer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, first: int) -> None:
        # Spawned, not forked: a fork of a process with torch's threads may hang.
        context = multiprocessing.get_context("spawn")
        self._position = context.Value("q", first)
        self._stop = context.Event()
        for idx in range(self.workers):
            process = context.Process(
                target=_work,
                args=(self.plan, str(self.folder), idx, self.workers, self.ahead),
                kwargs={"cpus": self.cpus, "position": self._position, "stop": self._stop},
                daemon=True,
            )
            process.start()
            self._processes.append(process)


def shard_path(folder: str | Path, shard: int) -> Path:
    """Where shard number `shard` lies in its folder."""
    return Path(folder) / f"{shard:06d}.tar"


def _work(plan, folder, idx, workers, ahead, *, cpus, position, stop) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the reader decides when to stop
    _stay_small(cpus)
    parent = os.getppid()
    shard = position.value + (idx - position.value) % workers
    while not stop.is_set() and os.getppid() == parent:
        if shard < position.value:  # the reader skipped ahead
            shard += workers
        elif shard > position.value + ahead:
            stop.wait(0.05)
        else:
            if not shard_path(folder, shard).exists():
                write_shard(shard_path(folder, shard), plan.records(shard))
            shard += workers


def _stay_small(cpus: Sequence[int] | None) -> None:
    """One thread, low priority: drawing must not take time from training."""
    import torch

    torch.set_num_threads(1)
    with contextlib.suppress(OSError, AttributeError):
        os.nice(10)
        if cpus is not None:
            os.sched_setaffinity(0, cpus)  # not on every system
