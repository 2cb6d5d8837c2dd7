"""`latentvlm ask FILE [FILE ...] QUESTION`: one question, one answer."""

import os
from typing import Annotated

import typer

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
def ask(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE... QUESTION",
            help="Pictures, PDFs, videos, then the question; of another model, the question alone.",
        ),
    ],
    media: MediaOptions,
    model: ModelOptions,
    sampling: SamplingOptions,
    thinking: ThinkingOptions,
    frames: FrameOptions,
    evs: EVSOptions,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of text.")
    ] = False,
) -> None:
    """Ask about pictures, PDF pages or videos, or a language model about nothing but itself.

    Example: latentvlm ask report.pdf "What is the total?" --pages 1-3 --model my-model
    """
    *files, question = words
    if not files and model.model is None:
        raise typer.BadParameter("Say at least one file, then the question.")
    # os.path, since Path.is_file raises for a text too long to be a name.
    if os.path.isfile(question):
        raise typer.BadParameter(f"The question comes last, and {question!r} is a file.")
    arguments = {
        "generation": sampling.generation(),
        **media.arguments(),
        **thinking.arguments(),
        **evs.arguments(),
        **frames.arguments(),
    }
    vlm = model.load()
    if json:
        with waiting("reading"):
            answer = vlm.ask(question, *files, **arguments)
        show_json(answer)
        return
    stream = vlm.stream(question, *files, **arguments)
    show_parts(stream.parts(), show_thinking=thinking.show_thinking)
    show_calls(stream.answer)
    show_counts(stream.answer)
