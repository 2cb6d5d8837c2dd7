"""Tags in what a model writes: found among its tokens, whether one token or several."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..data.chat_style import Tags
from .text_stream import TokenDecoder, overlap


@dataclass(frozen=True, kw_only=True)
class Markup:
    """What stands for something else than text in one model's answers.

    Attributes:
        thought: the tags around a thought, if it thinks aloud.
        calls: the tags around its tool calls; none if no tools are offered.
        tag_ids: of the tags that are tokens of their own, id to tag.
        tools: what it may call.
    """

    thought: Tags | None = None
    calls: tuple[Tags, ...] = ()
    tag_ids: Mapping[int, str] = field(default_factory=dict)
    tools: Sequence[Mapping[str, Any]] = ()

    @property
    def tags(self) -> list[str]:
        """Every tag, openings and closings."""
        pairs = [*([self.thought] if self.thought else []), *self.calls]
        return [tag for pair in pairs for tag in pair]


class Tag(str):
    """A tag that was found; as a text, how it is written."""

    __slots__ = ()


class TagReader:
    """Token ids to pieces of text, and the tags between them.

    A tag that is a token of its own is that token alone: its letters spelt by others are text.
    Any other tag is found in the text, over as many tokens as it takes.

    Args:
        decode: ids to text.
        markup: the tags.

    Attributes:
        held: the text at the end that may become a tag.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], markup: Markup) -> None:
        self._decode = decode
        self._decoder = TokenDecoder(decode)
        self._tag_ids = markup.tag_ids
        alone = set(markup.tag_ids.values())
        self._spelt = [tag for tag in markup.tags if tag not in alone]
        self._pattern = re.compile(f"({'|'.join(map(re.escape, self._spelt))})")
        self.held = ""

    def feed(self, idx: int) -> list[str]:
        """The pieces and tags that this token completes."""
        tag = self._tag_ids.get(idx)
        if tag is None:
            return self._split(self._decoder.feed(idx))
        found = self.finish()
        self._decoder = TokenDecoder(self._decode)
        return [*found, Tag(tag)]

    def finish(self) -> list[str]:
        """What was held back, as it is."""
        found = self._split(self._decoder.finish())
        if self.held:
            found.append(self.held)
            self.held = ""
        return found

    def _split(self, piece: str) -> list[str]:
        text, self.held = self.held + piece, ""
        if not self._spelt:
            return [text] if text else []
        *found, last = (
            Tag(each) if i % 2 else each for i, each in enumerate(self._pattern.split(text))
        )
        num_shown = len(last) - max(overlap(last, tag) for tag in self._spelt)
        self.held = last[num_shown:]
        return [each for each in (*found, last[:num_shown]) if each]
