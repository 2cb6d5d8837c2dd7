"""Several loaders in processes of their own, for machines where a GPU waits for rows.

Process i of n reads every n-th shard; rows are taken from the processes in turn. torchdata's
stateful loader carries each process's position back with its rows, so a stop and a resume
with the same number of processes give the rows of a run that never stopped.
"""

from __future__ import annotations

import contextlib
import signal
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import IterableDataset, get_worker_info
from torchdata.stateful_dataloader import StatefulDataLoader

from ..errors import DataError, LatentVLMError
from .loader import Loader
from .packed_batch import Batch

MakeLoader = Callable[[tuple[int, int]], Loader]


class ParallelLoader:
    """The rows of `processes` loaders, in turn; the same interface as `Loader`.

    Args:
        make_loader: makes the loader of a stripe `(i, n)`; it travels to the processes, so it
            can be pickled, and its loaders draw their shards themselves.
        processes: how many.
        ahead: rows each process makes ready.
    """

    def __init__(self, make_loader: MakeLoader, *, processes: int, ahead: int = 2):
        self.processes = processes
        with _without_advice():
            self._loader = StatefulDataLoader(
                _Rows(make_loader),
                batch_size=None,
                num_workers=processes,
                prefetch_factor=ahead,
                multiprocessing_context="spawn",
                worker_init_fn=_stay_quiet,
            )
        self._rows: Iterator[_Made] | None = None
        self._skipped: dict[int, int] = {}

    def __iter__(self) -> ParallelLoader:
        return self

    def __next__(self) -> Batch:
        if self._rows is None:
            with _without_advice():
                self._rows = iter(self._loader)
        made = next(self._rows)
        if made.error is not None:
            raise made.error
        assert made.row is not None
        self._skipped[made.process] = made.skipped
        return made.row

    @property
    def num_skipped(self) -> int:
        """Records left out so far, of the processes that rows came from."""
        return sum(self._skipped.values())

    def state_dict(self) -> dict[str, Any]:
        """The positions of all processes, as plain lists and numbers."""
        return {"processes": self.processes, "inner": self._loader.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from positions.

        Raises:
            DataError: the state is of another number of processes.
        """
        if state.get("processes") != self.processes:
            raise DataError(
                f"the saved loader position is of {state.get('processes', 0)} processes, but this "
                f"run has {self.processes}; set data.loaders to the former number to resume"
            )
        self._loader.load_state_dict(state["inner"])
        self._rows = None

    def close(self) -> None:
        """Stop the processes."""
        self._rows = None


@dataclass(frozen=True, kw_only=True)
class _Made:
    """What a process sends: a row, or the error that ended it, which torch would bury in text."""

    process: int
    row: Batch | None = None
    skipped: int = 0
    error: LatentVLMError | None = None


class _Rows(IterableDataset):
    def __init__(self, make_loader: MakeLoader):
        self.make_loader = make_loader
        self._loader: Loader | None = None
        self._state: dict[str, Any] | None = None

    def __iter__(self) -> Iterator[_Made]:
        info = get_worker_info()
        idx, count = (info.id, info.num_workers) if info is not None else (0, 1)
        try:
            loader = self.make_loader((idx, count))
            if self._state is not None:
                loader.load_state_dict(self._state)
            self._loader = loader
            for row in loader:
                yield _Made(process=idx, row=row, skipped=loader.num_skipped)
        except LatentVLMError as error:
            yield _Made(process=idx, error=error)

    def state_dict(self) -> dict[str, Any]:
        if self._loader is None:  # nothing was asked of it yet
            return self._state or {}
        return self._loader.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._state = state or None


@contextlib.contextmanager
def _without_advice() -> Iterator[None]:
    """How many processes is the caller's choice; and torchdata calls a name torch has retired."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="This DataLoader will create|'set_vital'")
        yield


def _stay_quiet(_: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the reader decides when to stop
    torch.set_num_threads(1)
