"""Text that a user wrote never turns into a control token.

A rendered prompt is one string in which `<image>` may be the template's placeholder or
something the user typed. So a private-use mark is put into the user's text wherever it
would spell a control token, before the template sees it; the encoder later encodes what
stands before and after a mark apart. Text without such spellings is left untouched, so
its ids are those of the whole string.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# Private-use characters: no template treats them as blanks and no text is made of them.
BREAK = "\ue0f0"  # encode what stands before and after it apart
ANSWER = "\ue0f1"  # as BREAK; what follows is what the assistant said
_MARKS = re.compile(f"[{BREAK}{ANSWER}]")

# What an assistant may say itself: a past turn is given back with its own control tokens.
ASSISTANT_TOKENS = frozenset({"<think>", "</think>", "<tool_call>", "</tool_call>"})


class Guard:
    """Breaks up every control token that a text spells."""

    def __init__(self, control_tokens: Iterable[str]) -> None:
        tokens = [token for token in control_tokens if len(token) > 1]
        self._user = _second_characters(tokens)
        self._assistant = _second_characters([t for t in tokens if t not in ASSISTANT_TOKENS])

    def __call__(self, texts: Sequence[str], *, is_assistant: bool = False) -> list[str]:
        """The texts with breaks; they are looked at joined, as halves of a token may meet."""
        texts = [_MARKS.sub("", text) for text in texts]
        pattern = self._assistant if is_assistant else self._user
        breaks = {found.start() for found in pattern.finditer("".join(texts))}
        if not breaks:
            return texts
        broken, begin = [], 0
        for text in texts:
            pieces = [BREAK + char if begin + i in breaks else char for i, char in enumerate(text)]
            broken.append("".join(pieces))
            begin += len(text)
        return broken

    def nested(self, value: Any, *, is_assistant: bool = False) -> Any:
        """A value as JSON holds them, with breaks in every text of it, keys included."""
        if isinstance(value, str):
            return self([value], is_assistant=is_assistant)[0]
        if isinstance(value, Mapping):
            return {
                self.nested(key, is_assistant=is_assistant): self.nested(
                    each, is_assistant=is_assistant
                )
                for key, each in value.items()
            }
        if isinstance(value, Sequence):
            return [self.nested(each, is_assistant=is_assistant) for each in value]
        return value


def split_marks(rendered: str) -> list[tuple[str, bool]]:
    """A rendered prompt as pieces to encode apart, each with whether an answer begins there."""
    pieces, begin, is_answer = [], 0, False
    for mark in _MARKS.finditer(rendered):
        pieces.append((rendered[begin : mark.start()], is_answer))
        begin, is_answer = mark.end(), mark.group() == ANSWER
    pieces.append((rendered[begin:], is_answer))
    return pieces


def _second_characters(tokens: Sequence[str]) -> re.Pattern[str]:
    """Matches, with no width, before the second character of every token, overlapping or not."""
    tails: dict[str, list[str]] = {}
    for token in tokens:
        tails.setdefault(token[0], []).append(re.escape(token[1:]))
    places = [f"(?<={re.escape(head)})(?={'|'.join(ends)})" for head, ends in tails.items()]
    return re.compile("|".join(places) or r"(?!)")
