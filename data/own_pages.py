"""A file of questions about pages of one's own -> records for shards."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError, MediaError
from .media import open_media
from .shards import Record

_NEEDED = ("file", "question", "answer")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One line of the questions' file.

    Attributes:
        path: of the picture or PDF.
        page: of a document with several, from 1.
        line: where it stands, for errors.
    """

    path: Path
    page: int
    question: str
    answer: str
    kind: str
    line: int


def read_questions(path: str | Path) -> list[Asked]:
    """Read a `.jsonl` or `.csv` file with `file`, `question`, `answer`, and maybe `page`, `kind`.

    Files are named from the folder the questions' file lies in.

    Raises:
        DataError: it cannot be read, or a line lacks something; the message names the line.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text: {error}.") from error
    found = []
    rows = _csv_rows(text) if path.suffix.lower() == ".csv" else _json_rows(path, text)
    for line, row in rows:
        lacking = [key for key in _NEEDED if not str(row.get(key) or "").strip()]
        if lacking:
            raise DataError(f"{path}, line {line}, lacks {' and '.join(lacking)}.")
        page = str(row.get("page") or 1)
        if not page.isdecimal() or int(page) < 1:
            raise DataError(f"{path}, line {line}: page is {page!r}, which is no page number.")
        found.append(
            Asked(
                path=path.parent / str(row["file"]),
                page=int(page),
                question=str(row["question"]).strip(),
                answer=str(row["answer"]).strip(),
                kind=str(row.get("kind") or "asked"),
                line=line,
            )
        )
    if not found:
        raise DataError(f"{path} has no questions.")
    return found


def own_records(
    path: str | Path,
    *,
    dpi: float | None = None,
    notify: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[Record]:
    """A record for each page that is asked about, with all its questions.

    Args:
        dpi: at which PDF pages are drawn.
        notify: told of every page that was taken: how many are, and of how many.

    Raises:
        DataError: as `read_questions`, or a page cannot be opened; the message names the line.
    """
    pages: dict[tuple[Path, int], list[Asked]] = {}
    for asked in read_questions(path):
        pages.setdefault((asked.path, asked.page), []).append(asked)
    for number, ((file, page), questions) in enumerate(pages.items()):
        try:
            (opened,) = open_media(file, pages=[page], dpi=dpi)
        except MediaError as error:
            raise DataError(f"{path}, line {questions[0].line}: {error}") from error
        yield Record(
            key=f"{number:09d}",
            image=np.asarray(opened.image),
            meta={
                "source": opened.name,
                "qas": [[each.kind, each.question, each.answer] for each in questions],
            },
        )
        notify(number + 1, len(pages))


def _csv_rows(text: str) -> Iterator[tuple[int, dict]]:
    reader = csv.DictReader(text.splitlines())
    for row in reader:
        yield reader.line_num, row


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, dict]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}, line {number}, is no JSON: {error}.") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number}, is no JSON object.")
        yield number, row
