"""An answer as it is written: pieces of text first, the `Answer` at the end."""

from collections.abc import Iterator

from .answer_finish import finish_answer
from .answer_parts import AnswerPiece
from .answer_pieces import AnswerPieces
from .answer_text import AnswerText
from .generate import Generation
from .prepared import Prepared
from .prompt import Model


class AnswerStream(AnswerPieces):
    """Iterate it for pieces of text, which joined are `answer.text`; nothing runs ahead.

    `parts()` gives the pieces of the thought as well, which are `answer.reasoning`.
    """

    def __init__(self, model: Model, prepared: Prepared) -> None:
        """Check the prompt; nothing runs before the first piece is asked for.

        Raises:
            PromptError, InputError: as `Generation`.
        """
        self._prepared = prepared
        self._steer = prepared.new_steer()
        self._generation = Generation(
            model,
            prepared.inputs,
            prepared.config,
            end_ids=prepared.end_ids,
            context_length=prepared.context_length,
            is_cancelled=prepared.is_cancelled,
            steer=self._steer,
            constraint=prepared.new_constraint(),
            can_look=prepared.cite is not None,
        )
        self._pieces = self._run()

    def parts(self) -> Iterator[AnswerPiece]:
        return self._pieces

    def _run(self) -> Iterator[AnswerPiece]:
        text = AnswerText(self._generation.writer, self._steer)
        for _ in self._generation:
            yield from text.take()
            if text.is_stopped:
                break
        yield from text.end()
        self._answer = finish_answer(self._prepared, self._generation, self._steer, text)
