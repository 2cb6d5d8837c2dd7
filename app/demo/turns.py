"""One question with its answer, and a conversation of them as the model reads it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...data.chat import Message
from ...vlm.answer import Answer
from .settings import Settings


@dataclass(frozen=True, kw_only=True)
class Turn:
    """A question, and what came of it up to now.

    Attributes:
        files: that came with this question; those of earlier ones stay in sight.
        thought, text: as far as they are written.
        answer: once it is whole, or was stopped.
        error: the sentence that came instead.
    """

    question: str
    files: tuple[str, ...] = ()
    model: str = ""
    settings: Settings = field(default_factory=Settings, repr=False)
    thought: str = ""
    text: str = ""
    answer: Answer | None = field(default=None, repr=False)
    error: str = ""

    @property
    def names(self) -> list[str]:
        """Of its files, without the folders they lie in."""
        return [Path(file).name for file in self.files]


def conversation(turns: Sequence[Turn], question: str, files: Sequence[str]) -> list[Message]:
    """The messages of a question after those that were answered."""
    messages: list[Message] = []
    for turn in turns:
        if turn.answer is not None:
            messages += [_asked(turn.question, turn.files), turn.answer.as_message()]
    return [*messages, _asked(question, files)]


def has_files(turns: Sequence[Turn]) -> bool:
    """Whether something is in sight already."""
    return any(turn.files for turn in turns if turn.answer is not None)


def without_folders(sentence: str, files: Sequence[str]) -> str:
    """A sentence about files that a visitor sent, who knows them by name alone."""
    for file in sorted(set(files), key=len, reverse=True):
        sentence = sentence.replace(file, Path(file).name)
    return sentence


def _asked(question: str, files: Sequence[str]) -> dict[str, Any]:
    shown = [{"type": "media", "media": file} for file in files]
    return {"role": "user", "content": [*shown, {"type": "text", "text": question}]}
