"""Tokens to what a reader sees: pieces of the thought and of the answer, up to a stop text."""

from typing import Literal

from .answer_parts import AnswerPiece
from .reasoning import ThoughtSteer
from .text_stream import StopFinder
from .token_writer import TokenWriter


class AnswerText:
    """The text of one answer while `writer` chooses its tokens and `steer` reads them.

    Attributes:
        is_stopped: whether a stop text came, so that nothing more is to be written.
    """

    def __init__(self, writer: TokenWriter, steer: ThoughtSteer) -> None:
        self._writer = writer
        self._reader = steer.reader
        self._finder = StopFinder(writer.config.stop)
        self._shown: dict[str, list[str]] = {"reasoning": [], "text": []}
        self._num_given = 0

    @property
    def is_stopped(self) -> bool:
        return self._finder.is_found

    @property
    def text(self) -> str:
        """What was shown of the answer."""
        return "".join(self._shown["text"])

    @property
    def reasoning(self) -> str:
        """What was shown of the thought."""
        return "".join(self._shown["reasoning"])

    def take(self) -> list[AnswerPiece]:
        """The pieces that became known since the last time."""
        pieces = []
        for piece in self._reader.take():
            text = self._finder.feed(piece.text) if piece.kind == "text" else piece.text
            pieces += self._show(piece.kind, text)
        if self._finder.is_found:
            self._writer.finish_reason = "stop"
        return pieces

    def end(self) -> list[AnswerPiece]:
        """What was held back, once no more tokens come."""
        if self._finder.is_found:
            return []
        self._reader.finish()
        return [*self.take(), *self._show("text", self._finder.finish())]

    def _show(self, kind: Literal["reasoning", "text"], text: str) -> list[AnswerPiece]:
        if not text:
            return []
        self._shown[kind].append(text)
        if kind == "reasoning":
            return [AnswerPiece(kind, text)]
        begin, chosen = max(self._num_given, self._reader.answer_begin), self._writer.choices
        self._num_given = len(chosen)
        return [AnswerPiece(kind, text, tuple(chosen[begin:]))]
