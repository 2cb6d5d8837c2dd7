"""Fields of many documents into rows, by the engine: all questions of a document at once."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...errors import LatentVLMError
from ...vlm.asking import make_request
from ...vlm.conversation import question_message
from ...vlm.engine_stream import EngineStream
from ...vlm.extract import FieldSpec, judge
from ..commands.extract import as_row
from .models import OpenModel
from .turns import without_folders


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """How far it is.

    Attributes:
        rows: one for each document that was read, as `latentvlm extract` writes them.
        failures: a sentence for each document that was not.
        total: documents in all.
        is_over: whether nothing more comes.
    """

    rows: tuple[dict[str, Any], ...] = ()
    failures: tuple[str, ...] = ()
    total: int = 0
    is_over: bool = False


async def extract_all(
    model: OpenModel, files: Sequence[str], specs: Sequence[FieldSpec], stopped: threading.Event
) -> AsyncGenerator[Extraction, None]:
    """One document after another; one that cannot be read is named and left out."""
    found = Extraction(total=len(files))
    yield found
    for file in files:
        if stopped.is_set():
            break
        try:
            streams = await asyncio.to_thread(_begin, model, file, specs, stopped)
            answers = [await stream.read_async() for stream in streams]
        except LatentVLMError as error:
            sentence = without_folders(str(error), [file])
            found = replace(found, failures=(*found.failures, sentence))
        else:
            if stopped.is_set():
                break
            limits = model.vlm.limits
            fields = {
                spec.name: judge(limits, spec, each, first_page=1)
                for spec, each in zip(specs, answers, strict=True)
            }
            found = replace(found, rows=(*found.rows, as_row(Path(file).name, fields)))
        yield found
    yield replace(found, is_over=True)


def _begin(
    model: OpenModel, file: str, specs: Sequence[FieldSpec], stopped: threading.Event
) -> list[EngineStream]:
    streams: list[EngineStream] = []
    for spec in specs:
        message = question_message(spec.asked, [file])
        asked = make_request([message], is_cancelled=stopped.is_set)
        request = replace(asked, answer_format=spec.answer_format)
        streams += model.engine.submit(model.vlm.prepare(request), wait=True)
    return streams


def table_of(rows: Sequence[dict[str, Any]], specs: Sequence[FieldSpec]) -> list[list[str]]:
    """Cells as a person reads them: the document, then each value with how sure it is.

    An empty cell says that the document has no such field, or that its value is of another type.
    """
    table = []
    for row in rows:
        cells = [str(row["file"])]
        for spec in specs:
            value, page = row[spec.name], row[f"{spec.name}_page"]
            where = "" if page is None else f", page {page}"
            sure = f"{row[f'{spec.name}_confidence']:.0%}{where}"
            cells.append("" if value is None else f"{value} ({sure})")
        table.append(cells)
    return table
