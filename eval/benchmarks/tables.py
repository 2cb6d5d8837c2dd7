"""Rows of published benchmarks: parquet, JSON, JSONL, CSV, TSV, or WebDataset tar shards.

A row is a mapping from column to value in which every picture stands as a stored medium, not yet
read. A row that cannot be read becomes a `BadRow`, and the next one is read.
"""

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ...errors import DataError
from ..media import InlinePicture, ParquetCell, parquet_module
from .row import BadRow, Row
from .shards import read_shards

TABLES = (".parquet", ".json", ".jsonl", ".csv", ".tsv", ".tar")
_LISTS = ("data", "questions", "annotations", "rows", "samples")


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
        ".tar": read_shards,
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
