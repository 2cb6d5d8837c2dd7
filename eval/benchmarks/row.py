"""A row of a benchmark's table: its values, and the media that it names."""

import ast
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ...errors import DataError
from ..media import StoredFile


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row and where it stands.

    Attributes:
        values: column -> value; empty cells of CSV and TSV are absent.
        path, number: the file, and the row in it counted from 1.
        root: the folder of the benchmark, in which media are looked for.
    """

    values: Mapping[str, Any]
    path: Path
    number: int
    root: Path

    @property
    def where(self) -> str:
        return f"{self.path.name} row {self.number}"

    def get(self, *names: str, default: Any = None) -> Any:
        """The value of the first of these columns that has one."""
        for name in names:
            value = self.values.get(name)
            if value is not None and not (isinstance(value, float) and value != value):
                return value
        return default

    def text(self, *names: str) -> str:
        """The same as a text that is not empty.

        Raises:
            DataError: there is none.
        """
        value = self.get(*names)
        if value is None or not str(value).strip():
            raise DataError(f"it has no {names[0]}")
        return str(value).strip()

    def texts(self, *names: str) -> tuple[str, ...]:
        """The same as a list of texts; a list written as a text is read.

        Raises:
            DataError: there is none, or it is empty.
        """
        values = as_list(self.get(*names))
        texts = tuple(str(each) for each in values if each is not None and str(each).strip())
        if not texts:
            raise DataError(f"it has no {names[0]}")
        return texts

    def medium(self, *names: str, folders: Sequence[str] = (), suffix: str = "") -> Any:
        """A picture or video: a stored medium, or a file of this name below the root.

        Args:
            names: columns.
            folders: where files of this name may lie, below the root.
            suffix: what is put behind a name that has none.

        Raises:
            DataError: there is none, or no such file.
        """
        value = self.get(*names)
        if value is None or value == "":
            raise DataError(f"it has no {names[0]}")
        if not isinstance(value, str | int):
            return value
        return self.file(str(value), folders=folders, suffix=suffix)

    def file(self, name: str, *, folders: Sequence[str] = (), suffix: str = "") -> StoredFile:
        """A file below the root.

        Raises:
            DataError: there is none.
        """
        name = name.strip().removeprefix("./")
        if suffix and not PurePosixPath(name).suffix:
            name += suffix
        for folder in (*folders, "", "images", "videos", "data"):
            for base in dict.fromkeys((self.root, self.path.parent)):
                path = base / folder / name
                if path.exists():
                    return StoredFile(path=str(path))
        looked = ", ".join(f"{folder}/" for folder in folders if folder)
        raise DataError(f"there is no {name} in {self.root}" + (f" ({looked})" if looked else ""))


@dataclass(frozen=True, kw_only=True)
class BadRow:
    """A row that cannot be asked, and why."""

    where: str
    reason: str


def as_list(value: Any) -> list[Any]:
    """A list as such, a list written as a text read, and a single value as a list of one."""
    if value is None:
        return []
    if isinstance(value, str) and value.strip().startswith("["):
        for read in (json.loads, ast.literal_eval):
            try:
                found = read(value)
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                continue
            return list(found) if isinstance(found, list | tuple) else [found]
    if isinstance(value, list | tuple):
        return list(value)
    return [value]
