"""A conversation as files to keep: Markdown to read, JSON with everything."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..output import as_values
from .turns import Turn


def write_transcripts(turns: Sequence[Turn], folder: Path) -> tuple[Path, Path]:
    """Both files, in a folder; a reader never gets half of one."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"conversation.md": as_markdown(turns), "conversation.json": as_json(turns)}
    for name, text in texts.items():
        part = folder / f"{name}.part"
        part.write_text(text, encoding="utf-8")
        os.replace(part, folder / name)
    return folder / "conversation.md", folder / "conversation.json"


def as_markdown(turns: Sequence[Turn]) -> str:
    """Questions, answers, the pages they were read from, and what was doubtful."""
    parts = ["# A conversation with LatentVLM\n"]
    for turn in turns:
        parts.append(f"## {turn.question}\n")
        parts += [f"- {name}" for name in turn.names] + ([""] if turn.files else [])
        if turn.thought:
            parts.append("".join(f"> {line}\n" for line in turn.thought.splitlines()))
        parts.append(f"{turn.text or turn.error}\n")
        if turn.answer is not None:
            parts += [f"{cited}\n" for cited in cited_lines(turn)]
            parts += [f"*Note: {warning}*\n" for warning in turn.answer.warnings]
            usage, timing = turn.answer.usage, turn.answer.timing
            parts.append(
                f"*{turn.model}: {usage.prompt_tokens} prompt tokens ({usage.visual_tokens} of "
                f"{usage.visual_tokens_before} visual), {usage.answer_tokens} answer tokens, "
                f"{timing.total_s:.2f} s, confidence {turn.answer.confidence:.2f}*\n"
            )
    return "\n".join(parts)


def as_json(turns: Sequence[Turn]) -> str:
    """A list with an object for each turn."""
    return json.dumps([_values(turn) for turn in turns], ensure_ascii=False, indent=2)


def cited_lines(turn: Turn) -> list[str]:
    """Where an answer was read from, a line for each page."""
    pages = turn.answer.pages if turn.answer is not None else ()
    return [
        f"Read from {Path(page.source).name}"
        + ("" if page.number is None else f", page {page.number}")
        + "."
        for page in pages
    ]


def _values(turn: Turn) -> dict[str, Any]:
    values: dict[str, Any] = {
        "question": turn.question,
        "files": turn.names,
        "model": turn.model,
        "settings": asdict(turn.settings),
    }
    if turn.answer is None:
        return {**values, "error": turn.error}
    found = as_values(turn.answer)
    for named in (*found["pages"], *found["frames"]):
        named["source"] = Path(named["source"]).name
    return {**values, "answer": found}
