"""`latentvlm chat FILE...`: several questions about the same pages, one after another."""

import sys
from typing import Annotated, Any

import typer

from ...errors import LatentVLMError
from ..evs_options import EVSOptions
from ..frame_options import FrameOptions
from ..options import (
    MediaOptions,
    ModelOptions,
    SamplingOptions,
    ThinkingOptions,
    expand_options,
)
from ..output import show_calls, show_counts, show_json, show_parts
from ..progress import waiting


@expand_options
def chat(
    media: MediaOptions,
    model: ModelOptions,
    sampling: SamplingOptions,
    thinking: ThinkingOptions,
    frames: FrameOptions,
    evs: EVSOptions,
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE...", help="Pictures, PDFs, videos; another model needs none."),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object for each answer.")
    ] = False,
) -> None:
    """Talk about pictures, PDF pages or videos; an empty line or end of input ends it.

    Example: latentvlm chat invoice.png
    """
    if not files and model.model is None:
        raise typer.BadParameter("Say at least one file.")
    arguments = {
        "generation": sampling.generation(),
        **media.arguments(),
        **thinking.arguments(),
        **evs.arguments(),
        **frames.arguments(),
    }
    vlm = model.load()
    pages: list[dict[str, Any]] = [{"type": "media", "media": file} for file in files or []]
    turns: list[dict[str, Any]] = []
    while question := read_question():
        text = {"type": "text", "text": question}
        # The pages belong to the first question; later ones refer back to them.
        turn = {"role": "user", "content": [text] if turns else [*pages, text]}
        try:
            stream = vlm.stream_chat([*turns, turn], **arguments)
            if json:
                with waiting("reading"):
                    answer = stream.read()
                show_json(answer)
            else:
                show_parts(stream.parts(), show_thinking=thinking.show_thinking)
                show_calls(stream.answer)
                show_counts(stream.answer)
        except LatentVLMError as error:
            if not turns:
                raise
            print(f"error: {error}", file=sys.stderr)
            continue
        turns += [turn, stream.answer.as_message()]


def read_question() -> str:
    """The next line, or nothing when there is none."""
    try:
        return input("> " if sys.stdin.isatty() else "").strip()
    except EOFError:
        return ""
