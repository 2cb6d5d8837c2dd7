"""What is shown on standard error while one waits; nothing where that is no terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Says what is being done, until it is done."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield


def show_progress(what: str, done: int, total: int) -> None:
    """How far something is, in one line that is written over."""
    if sys.stderr.isatty():
        end = "\n" if done == total else ""
        print(f"\r{what}: {done} of {total} ", end=end, file=sys.stderr, flush=True)


@contextmanager
def answers_progress(what: str, total: int) -> Iterator[Callable[[Any], None]]:
    """A bar, by a function to be called once for each answer: how many, and the time left."""
    if not sys.stderr.isatty():
        yield lambda answer: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failed]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total, failed="")
        failed = 0

        def count(answer: Any) -> None:
            nonlocal failed
            failed += getattr(answer, "finish_reason", "") == "error"
            bar.update(task, advance=1, failed=f"{failed} failed" if failed else "")

        yield count
