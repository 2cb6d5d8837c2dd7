"""How long a model may think: what is asked for, and who closes the thought in time.

A thought that has used its budget is closed where a sentence ends, at the latest after a
grace of some more tokens: the closing tag is written for the model, which goes on with the
answer. A model that ends its turn inside its thought is helped to an answer in the same way.
"""

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..data.chat_style import Tags
from ..errors import ConfigError
from .answer_parts import AnswerReader
from .sampling import GenerationConfig

# A full stop after a digit may be a decimal point.
_SENTENCE_END = re.compile(r"(?:\n\s*|(?:[!?…。！？]|(?<!\d)\.)[\"')\]”’*]*\s*)\Z")
_ABBREVIATION = re.compile(
    r"(?:\b(?:[A-Za-z]\.)+[A-Za-z]|\b(?:Mr|Mrs|Ms|Dr|Prof|St|vs|cf|Fig|approx))\.[ \t]*\Z"
)


@dataclass(frozen=True, kw_only=True)
class Thinking:
    """What is asked of the model's thought.

    Attributes:
        is_on: on or off; None is what the checkpoint does unasked.
        budget: tokens after which the thought is to end; None leaves it to the model.
        low_effort: ask for a short thought.

    Raises:
        ConfigError: a value is no such thing, or they contradict each other.
    """

    is_on: bool | None = None
    budget: int | None = None
    low_effort: bool = False

    def __post_init__(self) -> None:
        if self.is_on is not None and not isinstance(self.is_on, bool):
            raise ConfigError(f"thinking is {self.is_on!r} but must be True, False or None.")
        if not isinstance(self.low_effort, bool):
            raise ConfigError(f"low_effort is {self.low_effort!r} but must be True or False.")
        budget = self.budget
        if budget is not None and (
            not isinstance(budget, int) or isinstance(budget, bool) or budget < 0
        ):
            raise ConfigError(
                f"thinking_budget is {budget!r} but must be a whole number from 0, or None."
            )
        if self.is_on is False and budget is not None:
            raise ConfigError(f"thinking_budget is {budget}, but thinking is off.")

    @property
    def is_wanted(self) -> bool:
        """Whether there should be a thought."""
        return bool(self.is_on or self.budget or self.low_effort)

    def grace(self, config: GenerationConfig) -> int:
        """Tokens that a thought may go on beyond its budget, to end its sentence."""
        if config.thinking_grace is not None:
            return config.thinking_grace
        return (self.budget or 0) // 10


class ThoughtSteer:
    """Says which tokens must come next, if any.

    Args:
        reader: what was written so far; it is fed here.
        encode: text to ids.
        tags: around the thought; None for a model that does not think aloud.
        close_id: the closing tag, if it is a token of its own.
        budget: tokens after which the thought is to end; None is no end.
        grace: how many more it may have to end its sentence.
        is_wanted: whether there should be a thought.

    Attributes:
        closed_by: why the thought was closed for the model; None if it was not.
    """

    def __init__(
        self,
        reader: AnswerReader,
        *,
        encode: Callable[[str], list[int]],
        tags: Tags | None,
        close_id: int | None,
        budget: int | None = None,
        grace: int = 0,
        is_wanted: bool = False,
    ) -> None:
        self.reader = reader
        self.is_wanted = is_wanted
        self._encode = encode
        self._close = tags.close if tags else ""
        self._close_id = close_id
        self._budget = budget
        self._grace = grace
        self._forced: deque[int] = deque()
        self.closed_by: Literal["budget", "turn"] | None = None

    @property
    def in_thought(self) -> bool:
        """Whether the next token belongs to a thought, where nothing ends the answer."""
        return self.reader.state == "thought"

    def accept(self, idx: int) -> None:
        """A token was written."""
        self.reader.feed(idx)

    def forced(self) -> int | None:
        """The token that comes next whatever the model says; None lets it choose."""
        if not self._forced and self._is_spent():
            self.close("budget")
        return self._forced.popleft() if self._forced else None

    def close(self, why: Literal["budget", "turn"]) -> None:
        """Have the closing tag written."""
        self.closed_by = why
        if self._close_id is not None:
            self._forced.append(self._close_id)
            return
        # The model may have begun to write the tag itself.
        held = self.reader.held
        done = len(held) if self._close.startswith(held) else 0
        self._forced.extend(self._encode(self._close[done:]))

    def _is_spent(self) -> bool:
        if self._budget is None or not self.in_thought:
            return False
        excess = self.reader.num_thought_tokens - self._budget
        return excess >= self._grace or (excess >= 0 and ends_sentence(self.reader.tail))


def ends_sentence(text: str) -> bool:
    """Whether a text may break off here; an empty one may."""
    if not text.strip():
        return True
    return bool(_SENTENCE_END.search(text)) and not _ABBREVIATION.search(text)
