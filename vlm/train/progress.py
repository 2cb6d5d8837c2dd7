"""How fast a run goes, and showing it: a progress bar on a terminal, lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from ...data.packed_batch import Batch

_SHOWN = (
    "loss", "kl", "agreement", "next", "mtp", "char", "docs_per_s", "patches_per_s", "tokens_per_s",
    "waiting", "grad_norm", "char_accuracy", "blank_accuracy", "line_error", "token_accuracy",
    "exact", "asked",
)  # fmt: skip


class Meter:
    """Sums of losses and counts since the last report."""

    def __init__(self) -> None:
        self.last_loss = float("nan")
        self._clear()

    def add(self, batch: Batch, losses: dict[str, Tensor]) -> None:
        """Count one row and its losses (scalars)."""
        self._rows += 1
        self._documents += batch.num_examples
        self._tokens += batch.num_tokens
        self._patches += batch.num_patches
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value)
        self.last_loss = float(losses["loss"])

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Time spent here is time the data was not ready."""
        started = time.monotonic()
        yield
        self._waited += time.monotonic() - started

    def restart(self) -> None:
        """Leave out what happened since the last report was made (an evaluation, a save)."""
        if self._rows == 0:
            self._started = time.monotonic()

    def report(self) -> dict[str, float]:
        """Mean losses and rates since the last report; starts the next one."""
        seconds = max(time.monotonic() - self._started, 1e-9)
        report = {name: total / max(self._rows, 1) for name, total in self._sums.items()}
        report |= {
            "docs_per_s": self._documents / seconds,
            "tokens_per_s": self._tokens / seconds,
            "patches_per_s": self._patches / seconds,
            "waiting": self._waited / seconds,
            "time": seconds,
        }
        self._clear()
        return report

    def _clear(self) -> None:
        self._started = time.monotonic()
        self._rows = self._documents = self._tokens = self._patches = 0
        self._waited = 0.0
        self._sums: dict[str, float] = {}


class Progress:
    """A bar when the output is a terminal, else one line per log entry.

    Args:
        visible: False shows nothing.
    """

    def __init__(self, *, visible: bool = True):
        self.visible = visible
        self._bar: Any = None
        self._task: Any = None

    def start(self, title: str, total: int, done: int) -> None:
        """Begin a stage."""
        if self.visible and sys.stderr.isatty():
            from rich import progress
            from rich.console import Console

            self._bar = progress.Progress(
                progress.TextColumn("{task.description}"),
                progress.BarColumn(),
                progress.MofNCompleteColumn(),
                progress.TimeElapsedColumn(),
                progress.TimeRemainingColumn(),
                progress.TextColumn("loss {task.fields[loss]:.3f}"),
                console=Console(stderr=True),
            )
            self._task = self._bar.add_task(title, total=total, completed=done, loss=float("nan"))
            self._bar.start()

    def advance(self, loss: float) -> None:
        """One step is done."""
        if self._bar is not None:
            self._bar.update(self._task, advance=1, loss=loss)

    def say(self, entry: dict[str, Any]) -> None:
        """Show a log entry."""
        if not self.visible:
            return
        numbers = [f"{name} {entry[name]:.4g}" for name in _SHOWN if name in entry]
        line = f"{entry['kind']:<10} {entry['stage']} {entry['step']:>7}  " + "  ".join(numbers)
        if self._bar is not None:
            self._bar.console.print(line, highlight=False)
        else:
            print(line, file=sys.stderr, flush=True)

    def stop(self) -> None:
        """End a stage."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
