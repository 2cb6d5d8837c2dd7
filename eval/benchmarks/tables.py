"""Rows of published benchmarks: parquet, JSON, JSONL, CSV, TSV, or WebDataset tar shards.

A row is a mapping from column to value in which every picture stands as a stored medium, not yet
read. A row that cannot be read becomes a `BadRow`, and the next one is read.
"""

import ast
import csv
import json
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ...errors import DataError
from ..media import InlinePicture, ParquetCell, StoredFile, TarMember, parquet_module

TABLES = (".parquet", ".json", ".jsonl", ".csv", ".tsv", ".tar")
_PICTURES = ("png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "pdf")
_VIDEOS = ("mp4", "mkv", "webm", "avi", "mov")
_LISTS = ("data", "questions", "annotations", "rows", "samples")


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


@dataclass
class _Shard:
    key: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


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


def read_rows(paths: Sequence[Path], root: Path) -> Iterator[Row | BadRow]:
    """The rows of tables, one file after the other.

    Raises:
        DataError: a file cannot be read at all.
    """
    readers = {
        ".parquet": _parquet,
        ".json": _json,
        ".jsonl": _jsonl,
        ".csv": _separated,
        ".tsv": _separated,
        ".tar": _tar,
    }
    for path in paths:
        read = readers.get(path.suffix.lower())
        if read is None:
            raise DataError(f"{path} is no table; tables are {', '.join(TABLES)}.")
        try:
            for number, values in read(path):
                if isinstance(values, BadRow):
                    yield values
                else:
                    yield Row(values=values, path=path, number=number, root=root)
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path} cannot be read: {error}.") from error


def _parquet(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow

    try:
        file = parquet_module().ParquetFile(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as parquet: {error}.") from error
    pictures: dict[str, str] = {}
    wanted = []
    for column in file.schema_arrow:
        is_list = pyarrow.types.is_list(column.type) or pyarrow.types.is_large_list(column.type)
        kind = column.type.value_type if is_list else column.type
        if pyarrow.types.is_struct(kind) and "bytes" in [each.name for each in kind]:
            pictures[column.name] = "list" if is_list else "one"
            # Only the names: the pictures themselves stay where they are.
            wanted.append(f"{column.name}.{'list.element.' if is_list else ''}path")
        elif pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind):
            pictures[column.name] = "binary"
        else:
            wanted.append(column.name)
    number = 0
    for batch in file.iter_batches(batch_size=256, columns=wanted):
        for values in batch.to_pylist():
            for name, kind in pictures.items():
                cell = ParquetCell(path=str(path), row=number, column=name)
                if kind == "binary":
                    values[name] = cell
                elif kind == "one":
                    values[name] = None if values.get(name) is None else cell
                else:
                    values[name] = [
                        ParquetCell(path=str(path), row=number, column=name, item=idx)
                        for idx in range(len(values.get(name) or ()))
                    ]
            number += 1
            yield number, values


def _json(path: Path) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise DataError(f"{path} is no JSON: {error}.") from error
    if isinstance(content, dict):
        rows = next((content[key] for key in _LISTS if isinstance(content.get(key), list)), None)
        if rows is None:
            rows = [
                {"id": key, **value} for key, value in content.items() if isinstance(value, dict)
            ]
        content = rows
    if not isinstance(content, list) or not content:
        raise DataError(f"{path} holds no list of rows.")
    for number, values in enumerate(content, start=1):
        if isinstance(values, dict):
            yield number, values
        else:
            yield number, BadRow(where=f"{path.name} row {number}", reason="it is no object")


def _jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                values = json.loads(line)
                if not isinstance(values, dict):
                    raise ValueError("it is no object")
            except ValueError as error:
                yield number, BadRow(where=f"{path.name} row {number}", reason=f"no JSON: {error}")
                continue
            yield number, values


def _separated(path: Path) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8-sig", newline="") as file:
        if path.suffix.lower() == ".tsv":
            rows = csv.DictReader(file, delimiter="\t")
        else:
            head = file.readline()
            file.seek(0)
            mark = ";" if head.count(";") > head.count(",") else ","
            rows = csv.DictReader(file, delimiter=mark)
        if not rows.fieldnames:
            raise DataError(f"{path} is empty; its first line names the columns.")
        for number, values in enumerate(rows, start=1):
            if None in values:
                reason = "it has more cells than the first line names; put texts into quotes"
                yield number, BadRow(where=f"{path.name} row {number}", reason=reason)
                continue
            kept: dict[str, Any] = {
                key.strip(): value for key, value in values.items() if value not in (None, "")
            }
            if len(str(kept.get("image", ""))) > 512:
                name = f"{path.name} row {number} image"
                kept["image"] = InlinePicture(name=name, data=kept["image"])
            if kept:
                yield number, kept


def _tar(path: Path) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    """One row for each key: its JSON, its texts, and its media as `image`, `video` and `images`."""
    for number, shard in enumerate(_shards(path), start=1):
        where = f"{path.name} {shard.key}"
        if shard.problem:
            yield number, BadRow(where=where, reason=shard.problem)
        else:
            yield number, {"__key__": shard.key, **shard.values}


def _shards(path: Path) -> Iterator[_Shard]:
    shard = _Shard()
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                if not member.isfile():
                    continue
                folder, _, name = member.name.rpartition("/")
                key, _, suffix = name.partition(".")
                key = f"{folder}/{key}" if folder else key
                if key != shard.key:
                    if shard.key:
                        yield shard
                    shard = _Shard(key=key)
                _add_member(shard, tar, member, suffix.lower(), path)
    except tarfile.TarError as error:
        shard.problem = f"the shard breaks off here: {error}"
    if shard.key or shard.problem:
        yield shard


def _add_member(
    shard: _Shard, tar: tarfile.TarFile, member: tarfile.TarInfo, suffix: str, path: Path
) -> None:
    last = suffix.rsplit(".", 1)[-1]
    stored = TarMember(
        path=str(path), offset=member.offset_data, size=member.size, member=member.name
    )
    if last in _PICTURES:
        shard.values.setdefault("image", stored)
        shard.values.setdefault("images", []).append(stored)
        shard.values[suffix] = stored
        return
    if last in _VIDEOS:
        shard.values["video"] = stored
        return
    content = tar.extractfile(member)
    data = content.read() if content else b""
    try:
        if last == "json":
            values = json.loads(data)
            media = {k: v for k, v in shard.values.items() if k in ("image", "images", "video")}
            shard.values.update({**values, **media} if isinstance(values, dict) else {})
            if not isinstance(values, dict):
                shard.problem = f"{member.name} is no JSON object"
        elif last in ("txt", "cls", "question", "answer"):
            shard.values[suffix] = data.decode("utf-8").strip()
    except ValueError as error:
        shard.problem = f"{member.name} cannot be read: {error}"
