"""The tab that makes a table: drop documents, name fields, take the table away."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import gradio as gr

from ...errors import LatentVLMError
from ...vlm.extract import FieldSpec, read_fields
from ...vlm.field_values import TYPES
from ..commands.extract import write_table
from .examples import Example
from .extraction import Extraction, extract_all, table_of
from .models import Models
from .running import Running

_FIELDS = "number, date:date, total:number"
_HINT = (
    f"Each field is asked of each document. A type may follow a colon: {', '.join(TYPES)}. Beside "
    "a value stands how often values of such a confidence are right."
)


class ExtractTab:
    """Builds itself inside a `gr.Blocks`.

    Args:
        folder: where tables are written.
        examples: whose pictures and documents can be tried.
    """

    def __init__(
        self,
        models: Models,
        running: Running,
        model_name: gr.Dropdown,
        *,
        folder: Path,
        examples: list[Example],
    ) -> None:
        self._models, self._running, self._folder = models, running, folder
        self._samples = [file for each in examples if not each.needs_video for file in each.files]
        self.files = gr.File(
            file_count="multiple", label="Pictures and PDFs", height=150, elem_id="extract-files"
        )
        self.fields = gr.Textbox(_FIELDS, label="Fields", info=_HINT, elem_id="extract-fields")
        with gr.Row():
            self.start = gr.Button("Extract", variant="primary", min_width=120)
            self.halt = gr.Button("Stop", variant="stop", min_width=120, interactive=False)
            self.try_it = gr.Button("Try the examples", min_width=120)
        self.note = gr.Markdown("", elem_id="extract-note")
        self.table = gr.Dataframe(
            None,
            headers=["file"],
            interactive=False,
            wrap=True,
            label="What was found",
            elem_id="extract-table",
        )
        with gr.Row():
            self.as_csv = gr.DownloadButton("Save as CSV", size="sm", interactive=False)
            self.as_jsonl = gr.DownloadButton("Save as JSON lines", size="sm", interactive=False)
        outputs = [self.table, self.note, self.start, self.halt, self.as_csv, self.as_jsonl]
        private: dict[str, Any] = {"api_visibility": "private"}
        begin = [self.files, self.fields, model_name]
        gr.on(
            [self.start.click, self.fields.submit],
            self._extract,
            begin,
            outputs,
            show_progress="hidden",
            **private,
        )
        self.halt.click(self._stop, None, None, queue=False, **private)
        self.try_it.click(lambda: self._samples, None, self.files, **private)

    async def _extract(
        self, files: list[str] | None, fields: str, name: str, request: gr.Request
    ) -> AsyncGenerator[Any, None]:
        visitor = request.session_hash or ""
        busy = gr.Button(interactive=False), gr.Button(interactive=True)
        ready = gr.Button(interactive=True), gr.Button(interactive=False)
        try:
            specs = read_fields(fields)
            model = await asyncio.to_thread(self._models.get, name)
        except LatentVLMError as error:
            yield gr.skip(), f"⚠️ {error}", *ready, gr.skip(), gr.skip()
            return
        if not files:
            yield gr.skip(), "⚠️ Drop some documents first.", *ready, gr.skip(), gr.skip()
            return
        with self._running.of(visitor) as stopped:
            async with aclosing(extract_all(model, files, specs, stopped)) as steps:
                async for step in steps:
                    buttons = ready if step.is_over else busy
                    saved = [gr.skip(), gr.skip()]
                    if step.is_over and step.rows:
                        made = await asyncio.to_thread(write_tables, step, self._folder / visitor)
                        saved = [gr.DownloadButton(value=str(f), interactive=True) for f in made]
                    yield self._shown(step, specs), note_of(step), *buttons, *saved

    def _shown(self, step: Extraction, specs: list[FieldSpec]) -> Any:
        headers = ["file", *(spec.name for spec in specs)]
        return gr.Dataframe(value=table_of(step.rows, specs), headers=headers)

    def _stop(self, request: gr.Request) -> None:
        self._running.stop(request.session_hash or "")


def note_of(step: Extraction) -> str:
    """How far it is, and what was left out."""
    done = len(step.rows) + len(step.failures)
    how = "" if done == step.total else ", stopped" if step.is_over else ", working"
    lines = [f"{done} of {step.total} documents{how}."]
    lines += [f"⚠️ Left out: {failure}" for failure in step.failures]
    return "\n\n".join(lines)


def write_tables(step: Extraction, folder: Path) -> tuple[Path, Path]:
    """The rows as files to keep."""
    folder.mkdir(parents=True, exist_ok=True)
    table, lines = folder / "extracted.csv", folder / "extracted.jsonl"
    write_table(table, list(step.rows))
    lines.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in step.rows), encoding="utf-8"
    )
    return table, lines
