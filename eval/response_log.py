"""Responses on disk: a line of JSON each, written the moment it is there.

A folder holds one file for each process of a run, `NAME.jsonl` of the first and `NAME.2.jsonl`,
... of the others. A line that was cut in the middle, by a kill or a full disk, is taken away when
its process goes on.
"""

import contextlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import DataError


def shard_path(path: Path, rank: int) -> Path:
    """The file of a process of a sharded run."""
    return path if rank == 0 else path.with_suffix(f".{rank + 1}{path.suffix}")


def shard_paths(path: Path) -> list[Path]:
    """The files that are there, of all processes."""
    found = [path] if path.exists() else []
    others = path.parent.glob(f"{path.stem}.*{path.suffix}") if path.parent.is_dir() else ()
    return found + sorted(each for each in others if each.suffixes[0][1:].isdigit())


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The whole lines of one file, counted from 1; one cut in the middle at the end is passed over.

    Raises:
        DataError: another line is no JSON object.
    """
    raw = path.read_bytes()
    whole = raw[: raw.rfind(b"\n") + 1]
    for number, line in enumerate(whole.split(b"\n")[:-1], start=1):
        try:
            values = json.loads(line)
            if not isinstance(values, dict):
                raise ValueError("no object")
        except ValueError as error:
            raise DataError(f"{path} line {number} is no JSON; remove that line.") from error
        yield number, values


class ResponseLog:
    """The file of one process, open for more lines. Use it in a `with`.

    Raises:
        DataError: another process writes into the file, or it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: io.FileIO | None = None

    def __enter__(self) -> "ResponseLog":
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = io.FileIO(self.path, "a")
        except OSError as error:
            raise DataError(f"{self.path} cannot be written: {_reason(error)}.") from error
        self._lock()
        if self.path.is_file():
            raw = self.path.read_bytes()
            self._file.truncate(raw.rfind(b"\n") + 1)
        return self

    def _lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # Windows
            return
        assert self._file is not None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise DataError(
                f"Another process writes into {self.path}; let it end, or choose another folder."
            ) from error

    def write(self, line: Mapping[str, Any]) -> None:
        """Adds a line, whole or not at all.

        Raises:
            DataError: there is no room on the disk.
        """
        assert self._file is not None
        data = (json.dumps(line, ensure_ascii=False) + "\n").encode("utf-8")
        begin, done = self._file.seek(0, os.SEEK_END), 0
        try:
            while done < len(data):
                done += self._file.write(data[done:])
        except OSError as error:
            # A half line is taken away now, or when the run goes on.
            with contextlib.suppress(OSError):
                self._file.truncate(begin)
            raise DataError(
                f"{self.path} cannot be written: {_reason(error)}. Everything answered before is "
                "kept; make room and start the same command again."
            ) from error

    def __exit__(self, *error: object) -> None:
        assert self._file is not None
        self._file.close()


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
