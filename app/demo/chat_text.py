"""Turns as the messages that the page's conversation shows."""

from collections.abc import Sequence
from typing import Any

from .transcript import cited_lines
from .turns import Turn

# What a click on the answer's button tells the page.
SHOW_PAGE = "show page "


def chat_messages(turns: Sequence[Turn]) -> list[dict[str, Any]]:
    """Of each turn its files and question, its thought folded away, its answer with notes."""
    messages: list[dict[str, Any]] = []
    for turn in turns:
        asked: list[Any] = [{"path": file} for file in turn.files]
        messages.append({"role": "user", "content": [*asked, turn.question or "(no question)"]})
        if turn.thought:
            is_closed = bool(turn.text) or turn.answer is not None
            status = "done" if is_closed else "pending"
            messages.append(
                {
                    "role": "assistant",
                    "content": turn.thought,
                    "metadata": {"title": "Thinking", "status": status},
                }
            )
        messages.append(_answered(turn))
    return messages


def _answered(turn: Turn) -> dict[str, Any]:
    if turn.error:
        return {"role": "assistant", "content": f"⚠️ {turn.error}"}
    if turn.answer is None:
        return {"role": "assistant", "content": turn.text or "…"}
    parts = [turn.text]
    if turn.answer.finish_reason == "cancelled":
        parts.append("*Stopped.*")
    elif not turn.text and not turn.answer.tool_calls:
        parts.append("*No answer.*")
    parts += [f"⚠️ {warning}" for warning in turn.answer.warnings]
    options = [
        {"value": f"{SHOW_PAGE}{page.index}", "label": line.rstrip(".")}
        for page, line in zip(turn.answer.pages, cited_lines(turn), strict=True)
    ]
    content = "\n\n".join(part for part in parts if part)
    return {"role": "assistant", "content": content, "options": options}
