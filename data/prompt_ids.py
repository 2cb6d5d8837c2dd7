"""The ids of a rendered prompt: of its text, of what stands around pictures, of what is learnt."""

from collections.abc import Sequence
from functools import cached_property

import tokenizers

from ..errors import CheckpointError
from .guard import split_marks
from .placeholders import IMAGE_END, IMAGE_START, IMAGE_TOKEN, VIDEO_PLACE, VIDEO_TOKEN, ImageIds


class PromptIds:
    """Looks ids up in a tokenizer.

    Args:
        tokenizer: of the Hugging Face `tokenizers` library.
        bos: the token that begins a text, if the chat template itself may write it.
    """

    def __init__(self, tokenizer: tokenizers.Tokenizer, *, bos: str | None) -> None:
        self._tokenizer = tokenizer
        self._bos = bos

    def of(self, token: str) -> int:
        """The id of one token.

        Raises:
            CheckpointError: the tokenizer does not know it.
        """
        idx = self._tokenizer.token_to_id(token)
        if idx is None:
            raise CheckpointError(f"The tokenizer has no token {token}, which the model needs.")
        return idx

    @cached_property
    def of_images(self) -> ImageIds:
        """The ids around a picture and of its visual tokens; only a model that sees has them."""
        return ImageIds(*[self.of(name) for name in (IMAGE_TOKEN, IMAGE_START, IMAGE_END)])

    def of_text(self, text: str, *, has_videos: bool) -> tuple[list[int], list[int]]:
        """Ids of a rendered prompt, and the positions at which answers begin."""
        ids: list[int] = []
        answers: list[int] = []
        for piece, is_answer in split_marks(text):
            if is_answer:
                answers.append(len(ids))
            for number, part in enumerate(piece.split(VIDEO_TOKEN) if has_videos else [piece]):
                if number:
                    ids.append(VIDEO_PLACE)
                # A tokenizer may put its own token before a text, unless the template did so.
                is_first = not ids and not (self._bos and part.startswith(self._bos))
                ids += self._tokenizer.encode(part, add_special_tokens=is_first).ids
        return ids, answers


def learnt_ids(ids: list[int], answers: Sequence[int], turn_end_id: int) -> list[bool]:
    """Which ids are learnt: from the beginning of each answer to the end of its turn."""
    learnt = [False] * len(ids)
    for begin in answers:
        try:
            end = ids.index(turn_end_id, begin) + 1
        except ValueError:
            end = len(ids)
        learnt[begin:end] = [True] * (end - begin)
    return learnt
