"""A bar on standard error while questions are answered; nothing where that is no terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def answers_progress(what: str, total: int) -> Iterator[Callable[[Any], None]]:
    """A function to be called once for each answer; the bar tells how many and the time left."""
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
