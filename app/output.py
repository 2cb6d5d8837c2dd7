"""How an answer is shown: text as it is written, a line of counts, or one JSON object."""

import dataclasses
import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from ..vlm.answer import Answer


def show_pieces(pieces: Iterable[str]) -> None:
    """Writes each piece of text the moment it is known, and ends the line."""
    for piece in pieces:
        sys.stdout.write(piece)
        sys.stdout.flush()
    sys.stdout.write("\n")
    sys.stdout.flush()


def show_counts(answer: "Answer") -> None:
    """Warnings on stderr, then a line with the tokens used and the time."""
    for warning in answer.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    usage, timing = answer.usage, answer.timing
    line = (
        f"{usage.prompt_tokens} prompt tokens ({usage.visual_tokens} visual), "
        f"{usage.answer_tokens} answer tokens, {timing.total_s:.2f} s"
    )
    Console(soft_wrap=True).print(line, style="dim", highlight=False)


def show_json(answer: "Answer") -> None:
    """One line with one JSON object: text, confidence, warnings, usage, timing and more."""
    print(json.dumps(as_values(answer), ensure_ascii=False), flush=True)


def as_values(answer: "Answer") -> dict[str, Any]:
    return {
        "text": answer.text,
        "confidence": answer.confidence,
        "warnings": list(answer.warnings),
        "finish_reason": answer.finish_reason,
        "usage": dataclasses.asdict(answer.usage),
        "timing": dataclasses.asdict(answer.timing),
    }
