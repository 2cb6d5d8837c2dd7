"""What every stream of an answer has in common: its pieces, and the answer at their end."""

from collections.abc import Iterator

from ..errors import InputError
from .answer import Answer
from .answer_parts import AnswerPiece


class AnswerPieces(Iterator[str]):
    """Iterate it for pieces of text, which joined are `answer.text`."""

    _answer: Answer | None = None

    def parts(self) -> Iterator[AnswerPiece]:
        """Pieces of the thought and of the answer, in the order in which they are written."""
        raise NotImplementedError

    def __next__(self) -> str:
        for piece in self.parts():
            if piece.kind == "text":
                return piece.text
        raise StopIteration

    def read(self) -> Answer:
        """Read to the end."""
        for _ in self.parts():
            pass
        return self.answer

    @property
    def answer(self) -> Answer:
        """The finished answer.

        Raises:
            InputError: the stream was not read to its end.
        """
        if self._answer is None:
            raise InputError("The answer is known once its stream was read to the end; read on.")
        return self._answer
