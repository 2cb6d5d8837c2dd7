"""How an answer is shown: text as it is written, a line of counts, or one JSON object."""

import dataclasses
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from .progress import waiting

if TYPE_CHECKING:
    from ..vlm.answer import Answer
    from ..vlm.answer_parts import AnswerPiece


def show_parts(parts: Iterable["AnswerPiece"], *, show_thinking: bool = False) -> None:
    """Writes each piece of text the moment it is known, and ends the line.

    The thought goes to standard error, dim on a terminal, so that the output is the answer.
    """
    dim, plain = ("\x1b[2m", "\x1b[0m") if sys.stderr.isatty() else ("", "")
    in_thought = False
    for part in _awaited(parts):
        is_thought = part.kind == "reasoning"
        if is_thought and not show_thinking:
            continue
        if in_thought and not is_thought:
            sys.stderr.write(plain + "\n\n")
        elif is_thought and not in_thought:
            sys.stderr.write(dim)
        in_thought = is_thought
        out = sys.stderr if is_thought else sys.stdout
        out.write(part.text)
        out.flush()
    if in_thought:
        sys.stderr.write(plain + "\n")
    sys.stdout.write("\n")
    sys.stdout.flush()


def _awaited(parts: Iterable["AnswerPiece"]) -> Iterator["AnswerPiece"]:
    """The parts; until the first one comes, a terminal is told that the model reads."""
    remaining = iter(parts)
    with waiting("reading"):
        first = next(remaining, None)
    if first is not None:
        yield first
    yield from remaining


def show_calls(answer: "Answer") -> None:
    """A line for each tool the model asks to be called, in JSON."""
    for call in answer.tool_calls:
        print(json.dumps(dataclasses.asdict(call), ensure_ascii=False), flush=True)


def show_counts(answer: "Answer") -> None:
    """Warnings on stderr, then a line with the tokens used and the time."""
    for warning in answer.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for page in answer.pages:
        number = "" if page.number is None else f", page {page.number}"
        print(f"read from {page.source}{number}", file=sys.stderr)
    usage, timing = answer.usage, answer.timing
    before = usage.visual_tokens_before
    reduced = f" of {before}" if before > usage.visual_tokens else ""
    line = (
        f"{usage.prompt_tokens} prompt tokens ({usage.visual_tokens}{reduced} visual), "
        f"{usage.answer_tokens} answer tokens, {timing.total_s:.2f} s"
    )
    Console(soft_wrap=True).print(line, style="dim", highlight=False)


def show_json(answer: "Answer") -> None:
    """One line with one JSON object: text, confidence, warnings, usage, timing and more."""
    show_values(as_values(answer))


def show_values(values: dict[str, Any]) -> None:
    """One line with one JSON object."""
    print(json.dumps(values, ensure_ascii=False), flush=True)


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """The path to write to: it becomes `path` once it is whole, and goes if it does not."""
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def as_values(answer: "Answer") -> dict[str, Any]:
    return {
        "text": answer.text,
        "reasoning": answer.reasoning,
        "reasoning_finish": answer.reasoning_finish,
        "tool_calls": [dataclasses.asdict(call) for call in answer.tool_calls],
        "confidence": answer.confidence,
        "pages": [dataclasses.asdict(page) for page in answer.pages],
        "warnings": list(answer.warnings),
        "finish_reason": answer.finish_reason,
        "frames": [dataclasses.asdict(video) for video in answer.frames],
        "usage": dataclasses.asdict(answer.usage),
        "timing": dataclasses.asdict(answer.timing),
    }
