"""The rival: Tesseract, and rules that look the answer up in its text.

The rules are told more than the model: every phrasing of a question, every label of a field, every
column of a table, held-out ones included. What they lack is the page; that they get from the OCR.
"""

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

import numpy as np

from ..data.synthetic.questions import NOT_IN_DOCUMENT
from .metrics import edit_distance
from .ocr import Line
from .rival_questions import ParsedQuestion, parse_question
from .rival_reading import PageText
from .samples import Request, Response

_CHUNK = 32  # requests whose pages are recognised together
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")


class TextReader(Protocol):
    """What recognises text: Tesseract, or a fake."""

    name: str

    def read(self, images: Sequence[np.ndarray]) -> list[list[Line]]:
        """The lines of each page."""
        ...


class Rival:
    """Answers from recognised text.

    Args:
        reader: recognises the text.
    """

    def __init__(self, reader: TextReader):
        self._reader = reader
        self.name = f"{reader.name} + rules"

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Answers each request; pages asked about in a row are recognised once."""
        requests = iter(requests)
        while chunk := list(islice(requests, _CHUNK)):
            begin = time.perf_counter()
            images = {id(request.image): request.image for request in chunk}
            texts = dict(zip(images, self._reader.read(list(images.values())), strict=True))
            answers = [answer(request.question, texts[id(request.image)]) for request in chunk]
            seconds = (time.perf_counter() - begin) / len(chunk)
            for request, text in zip(chunk, answers, strict=True):
                yield Response(id=request.id, text=text, seconds=seconds)


def answer(question: str, lines: Sequence[Line]) -> str:
    """The answer to a question about recognised lines."""
    page = PageText(lines)
    asked = parse_question(question)
    if asked is None or asked.what == "transcribe":
        return page.text
    found = _ANSWERS[asked.what](page, asked)
    return NOT_IN_DOCUMENT if found is None else found


def _read_line(page: PageText, asked: ParsedQuestion) -> str | None:
    ordinal = asked.slots["ordinal"].lower()
    if ordinal == "last":
        return page.lines[-1] if page.lines else None
    idx = _ORDINALS.index(ordinal) if ordinal in _ORDINALS else len(page.lines)
    return page.lines[idx] if idx < len(page.lines) else None


def _field(page: PageText, asked: ParsedQuestion) -> str | None:
    return page.field(asked.slots["asked"])


def _cell(page: PageText, asked: ParsedQuestion) -> str | None:
    rows = page.rows(asked=asked.slots["asked"])
    key = _nearest(asked.slots["key"], list(rows))
    return None if key is None else rows[key]


def _row(page: PageText, asked: ParsedQuestion) -> str | None:
    rows = page.rows(asked=asked.slots["asked"], noun=asked.slots.get("noun"))
    value = _nearest(asked.slots["value"], list(rows.values()))
    return next((key for key, text in rows.items() if text == value), None)


def _count_lines(page: PageText, asked: ParsedQuestion) -> str:
    return str(len(page.lines))


def _count_rows(page: PageText, asked: ParsedQuestion) -> str:
    return str(page.num_rows(asked.slots["plural"]))


def _extreme(page: PageText, asked: ParsedQuestion) -> str | None:
    rows = page.rows(asked=asked.slots["asked"], noun=asked.slots.get("noun"))
    numbers = {key: number(text) for key, text in rows.items()}
    pick = max if asked.what == "most" else min
    return pick(numbers, key=lambda key: numbers[key]) if numbers else None


def _versus(page: PageText, asked: ParsedQuestion) -> str | None:
    rows = page.rows(asked=asked.slots["asked"], noun=asked.slots.get("noun"))
    numbers = {}
    for name in (asked.slots["a"], asked.slots["b"]):
        key = _nearest(name, list(rows))
        numbers[name] = -1.0 if key is None else number(rows[key])
    return max(numbers, key=lambda name: numbers[name])


def _is_value(page: PageText, asked: ParsedQuestion) -> str:
    found = page.field(asked.slots["asked"])
    return "Yes" if found is not None and _plain(found) == _plain(asked.slots["value"]) else "No"


def _has_field(page: PageText, asked: ParsedQuestion) -> str:
    return "No" if page.field(asked.slots["asked"]) is None else "Yes"


def _is_listed(page: PageText, asked: ParsedQuestion) -> str:
    return "Yes" if _plain(asked.slots["key"]) in _plain(page.text) else "No"


_ANSWERS = {
    "read_line": _read_line,
    "field": _field,
    "cell": _cell,
    "row": _row,
    "count_lines": _count_lines,
    "count_rows": _count_rows,
    "most": _extreme,
    "least": _extreme,
    "versus": _versus,
    "is_value": _is_value,
    "has_field": _has_field,
    "is_listed": _is_listed,
}


def number(text: str) -> float:
    """The number a cell stands for: a last separator before two digits marks decimals."""
    digits = re.sub(r"\D", "", text)
    decimals = re.search(r"[.,]\d\d$", text.strip()) is not None
    return int(digits or 0) / (100 if decimals else 1)


def _plain(text: str) -> str:
    return re.sub(r"[\W_]", "", text).lower()


def _nearest(text: str, choices: Sequence[str]) -> str | None:
    """The choice that differs least, if at most by a quarter of its characters."""
    if not choices:
        return None
    best = min(choices, key=lambda choice: edit_distance(_plain(choice), _plain(text)))
    distance = edit_distance(_plain(best), _plain(text))
    return best if distance <= max(len(_plain(text)), 1) / 4 else None
