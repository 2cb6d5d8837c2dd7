"""The tab that answers: conversation and switches on one side, what the model saw on the other."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import gradio as gr

from ...errors import LatentVLMError
from .answering import Progress, answer
from .chat_text import SHOW_PAGE, chat_messages
from .examples import Example
from .figures import figures_html
from .models import Models, OpenModel
from .running import Running
from .settings import THINKING, Settings
from .transcript import write_transcripts
from .turns import Turn
from .view_panel import ViewPanel

_HINT = "Drop pictures, PDFs or a video here, and ask about them"
_FIRST = (
    "### Ask about your files\nDrop a picture, a PDF or a video into the box below and ask. Or "
    "start with an example."
)


class AskTab:
    """Builds itself inside a `gr.Blocks`.

    Args:
        folder: where files of a visitor's own making are written.
        examples: offered by every model, and those that only one that sees videos can answer.
    """

    def __init__(
        self,
        models: Models,
        running: Running,
        model_name: gr.Dropdown,
        model_line: gr.Markdown,
        first: OpenModel,
        *,
        folder: Path,
        examples: list[Example],
    ) -> None:
        self._models, self._running, self._folder = models, running, folder
        self._examples, self.model_line = examples, model_line
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=320):
                self._build_chat(first)
            with gr.Column(scale=5, min_width=320):
                self.panel = ViewPanel()
        self.turns = gr.State([])
        self._wire(model_name)

    def _build_chat(self, first: OpenModel) -> None:
        self.chat = gr.Chatbot(
            label="Conversation",
            height="min(58vh, 560px)",
            placeholder=_FIRST,
            examples=self._cards(first),
            buttons=["copy"],
            feedback_options=None,
            latex_delimiters=[],
            allow_tags=False,
            allow_file_downloads=False,
            elem_id="chat",
        )
        self.box = gr.MultimodalTextbox(
            file_count="multiple",
            placeholder=_HINT,
            label="Files and question",
            show_label=False,
            max_lines=6,
            elem_id="ask-box",
        )
        with gr.Row():
            self.fresh = gr.Button("New conversation", size="sm", min_width=96)
            self.as_markdown = gr.DownloadButton(
                "Save Markdown", size="sm", min_width=96, interactive=False
            )
            self.as_json = gr.DownloadButton(
                "Save JSON", size="sm", min_width=96, interactive=False
            )
        self.figures = gr.HTML(figures_html(None), elem_id="figures")
        with gr.Accordion("Settings", open=False):
            self._build_settings(first)

    def _build_settings(self, first: OpenModel) -> None:
        videos, thoughts = _video_hint(first), _thought_hint(first)
        self.evs_rate = gr.Slider(
            0, 0.95, 0, step=0.05, label="EVS rate", info=videos, interactive=first.sees_videos
        )
        self.token_budget = gr.Slider(
            0,
            8192,
            0,
            step=16,
            label="Page budget",
            info="Most visual tokens of everything; 0: no limit.",
        )
        self.thinking = gr.Radio(
            list(THINKING), value=next(iter(THINKING)), label="Thinking", interactive=first.thinks
        )
        self.thinking_budget = gr.Slider(
            0, 8192, 0, step=64, label="Thinking budget", info=thoughts, interactive=first.thinks
        )
        self.max_tokens = gr.Slider(
            16,
            4096,
            256,
            step=16,
            label="Longest answer (max_tokens)",
            info="In tokens, the thought included.",
        )

    def _wire(self, model_name: gr.Dropdown) -> None:
        switches = [
            model_name,
            self.evs_rate,
            self.token_budget,
            self.thinking,
            self.thinking_budget,
            self.max_tokens,
            self.panel.way,
        ]
        outputs = [
            self.chat,
            self.box,
            self.turns,
            self.figures,
            self.as_markdown,
            self.as_json,
            *self.panel.outputs,
        ]
        private: dict[str, Any] = {"api_visibility": "private"}
        shown: dict[str, Any] = {**private, "show_progress": "hidden"}
        self.box.submit(self._submit, [self.box, self.turns, *switches], outputs, **shown)
        self.chat.example_select(self._pick, [self.turns, *switches], outputs, **shown)
        self.box.stop(self._stop, None, None, queue=False, **private)
        for anew in (self.fresh.click, self.chat.clear):
            anew(self._renew, None, outputs, queue=False, **shown)
        self.panel.wire()
        self.chat.option_select(
            self._jump, [self.panel.views, self.panel.way], self.panel.outputs[1:], **shown
        )
        model_name.change(
            self._switch,
            model_name,
            [self.model_line, self.evs_rate, self.thinking, self.thinking_budget, self.chat],
            **private,
        )

    async def _submit(
        self, request: gr.Request, asked: dict[str, Any], turns: list[Turn], *switches: Any
    ) -> AsyncGenerator[Any, None]:
        question: str = asked.get("text") or ""
        files: list[str] = asked.get("files") or []
        async with aclosing(self._answer(question, files, turns, switches, request)) as updates:
            async for update in updates:
                yield update

    async def _pick(
        self, request: gr.Request, chosen: gr.SelectData, turns: list[Turn], *switches: Any
    ) -> AsyncGenerator[Any, None]:
        example = self._examples[chosen.index]
        answered = self._answer(example.question, list(example.files), turns, switches, request)
        async with aclosing(answered) as updates:
            async for update in updates:
                yield update

    async def _answer(
        self,
        question: str,
        files: list[str],
        turns: list[Turn],
        switches: tuple[Any, ...],
        request: gr.Request,
    ) -> AsyncGenerator[Any, None]:
        name, evs_rate, token_budget, thinking, thinking_budget, max_tokens, way = switches
        settings = Settings(
            evs_rate=evs_rate,
            token_budget=token_budget,
            thinking=thinking,
            thinking_budget=thinking_budget,
            max_tokens=max_tokens,
        )
        visitor = request.session_hash or ""
        emptied = gr.MultimodalTextbox(
            value={"text": "", "files": []}, submit_btn=False, stop_btn=True, placeholder="…"
        )
        with self._running.of(visitor) as stopped:
            try:
                model = await asyncio.to_thread(self._models.get, name)
            except LatentVLMError as error:
                failed = Turn(question=question, files=tuple(files), model=name, error=str(error))
                yield self._ended(Progress(turn=failed, is_over=True), turns, None, visitor, way)
                return
            asking = answer(model, turns, question, files, settings, stopped)
            async with aclosing(asking) as steps:
                async for step in steps:
                    if step.is_over:
                        yield await asyncio.to_thread(self._ended, step, turns, model, visitor, way)
                        return
                    yield (chat_messages([*turns, step.turn]), emptied, *self._unchanged())
                    emptied = gr.skip()

    def _unchanged(self) -> list[Any]:
        return [gr.skip()] * (4 + len(self.panel.outputs))

    def _ended(
        self,
        step: Progress,
        turns: list[Turn],
        model: OpenModel | None,
        visitor: str,
        way: str,
    ) -> tuple[Any, ...]:
        """Everything, once a turn is over; what was not answered is there to be asked again."""
        turn, box = step.turn, {"text": "", "files": []}
        kept = [each for each in turns if each.answer is not None]
        if turn.error:
            box = {"text": turn.question, "files": [] if step.bad_files else list(turn.files)}
        ready = gr.MultimodalTextbox(value=box, submit_btn=True, stop_btn=False, placeholder=_HINT)
        turns = [*kept, turn]
        if model is None or turn.answer is None:
            return (chat_messages(turns), ready, turns, *[gr.skip()] * 3, *self.panel.unchanged())
        files = write_transcripts(turns, self._folder / visitor)
        return (
            chat_messages(turns),
            ready,
            turns,
            figures_html(turn.answer, model.vlm.limits),
            *(gr.DownloadButton(value=str(file), interactive=True) for file in files),
            *self.panel.update(step.explanation, way),
        )

    def _stop(self, request: gr.Request) -> None:
        self._running.stop(request.session_hash or "")

    def _renew(self, request: gr.Request) -> tuple[Any, ...]:
        self._stop(request)
        nothing = gr.MultimodalTextbox(
            value={"text": "", "files": []}, submit_btn=True, stop_btn=False, placeholder=_HINT
        )
        off = gr.DownloadButton(value=None, interactive=False)
        return [], nothing, [], figures_html(None), off, off, *self.panel.update(None, "")

    def _jump(self, views: list[Any], way: str, chosen: gr.SelectData) -> tuple[Any, ...]:
        value = str(chosen.value)
        at = int(value.removeprefix(SHOW_PAGE)) if value.startswith(SHOW_PAGE) else 0
        return self.panel.show(views, at, way)

    def _switch(self, name: str) -> tuple[Any, ...]:
        """What the chosen model can do, and the switches as far as it has a use for them."""
        try:
            model = self._models.get(name)
        except LatentVLMError as error:
            raise gr.Error(str(error), print_exception=False) from error
        return (
            model.describe(),
            gr.Slider(info=_video_hint(model), interactive=model.sees_videos),
            gr.Radio(interactive=model.thinks),
            gr.Slider(info=_thought_hint(model), interactive=model.thinks),
            gr.Chatbot(examples=self._cards(model)),
        )

    def _cards(self, model: OpenModel) -> Any:
        return [
            {"text": each.question, "display_text": f"{each.title}: {each.question}"}
            for each in self._examples
            if model.sees_videos or not each.needs_video
        ]


def _video_hint(model: OpenModel) -> str:
    if not model.sees_videos:
        return "This model sees no videos."
    return "The share of a video's tokens that is dropped."


def _thought_hint(model: OpenModel) -> str:
    if not model.thinks:
        return "This model does not think aloud."
    return "Tokens of a thought; 0: no limit."
