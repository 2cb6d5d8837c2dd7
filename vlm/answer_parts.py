"""What a model writes, sorted while it comes: its thought, its answer, its tool calls.

    start -> thought -> start -> answer <-> call

A thought can only come before the first word of the answer; a call is held back until it is
whole, and becomes text if it cannot be read.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ..data.chat_style import Tags
from .markup import Markup, Tag, TagReader
from .sampling import Choice
from .tool_calls import MalformedCallError, ToolCall, parse_calls, unknown_tools

# Enough to see how a sentence ends.
_TAIL = 16


@dataclass(frozen=True)
class AnswerPiece:
    """Some of what a model writes, in whole characters.

    Example:
        ```python
        import latentvlm

        for piece in latentvlm.load().stream("What is the total?", "invoice.png").parts():
            print(piece.kind, piece.text)
        ```

    Attributes:
        kind: "reasoning" for its thought, "text" for its answer.
        text: never empty.
        choices: of a piece of the answer the tokens that were chosen since the piece before, those
            included that showed nothing.
    """

    kind: Literal["reasoning", "text"]
    text: str
    choices: tuple[Choice, ...] = field(default=(), repr=False, compare=False)


class AnswerReader:
    """Takes one token after another.

    Blanks around the thought and around the answer of a model with tags are left out.

    Args:
        decode: ids to text.
        markup: the tags to look for.
        opens_thought: whether the prompt already opened a thought.

    Attributes:
        state: where the last token left off; "start" is before the first word of the answer.
        has_thought: whether there was a thought, if an empty one.
        num_thought_tokens: tokens of the thought, the tag that closes it included.
        answer_begin: how many tokens there were before the answer.
        tail: the last characters of the thought.
        calls: the tool calls so far.
        warnings: a sentence for each call that is doubtful.
    """

    def __init__(
        self,
        decode: Callable[[Sequence[int]], str],
        markup: Markup,
        *,
        opens_thought: bool = False,
    ) -> None:
        self._markup = markup
        self._tags = TagReader(decode, markup)
        self.state: Literal["start", "thought", "answer", "call"] = "start"
        if opens_thought:
            self.state = "thought"
        self.has_thought = opens_thought
        self.num_thought_tokens = self.answer_begin = self._num_tokens = 0
        self.tail = ""
        self.calls: list[ToolCall] = []
        self.warnings: list[str] = []
        self._call_tags: Tags | None = None
        self._call = ""
        self._pieces: list[AnswerPiece] = []
        is_plain = not markup.tags
        self._trims = {"reasoning": _Trimmer(is_plain), "text": _Trimmer(is_plain)}

    @property
    def held(self) -> str:
        """The text at the end that may become a tag."""
        return self._tags.held

    def feed(self, idx: int) -> None:
        """Take the next token."""
        was_thought = self.state == "thought"
        for piece in self._tags.feed(idx):
            self._accept(piece)
        self._num_tokens += 1
        if was_thought:
            self.num_thought_tokens += 1
            self.answer_begin = self._num_tokens

    def finish(self) -> None:
        """There are no more tokens."""
        for piece in self._tags.finish():
            self._accept(piece)
        if self.state == "call":
            self._end_call("")

    def take(self) -> list[AnswerPiece]:
        """What became known since the last time."""
        pieces, self._pieces = self._pieces, []
        return pieces

    def _accept(self, piece: str) -> None:
        thought = self._markup.thought
        if self.state == "call":
            if isinstance(piece, Tag) and self._call_tags and piece == self._call_tags.close:
                self._end_call(piece)
            else:
                self._call += piece
        elif self.state == "thought":
            if isinstance(piece, Tag) and thought and piece in thought:
                self.state = "start" if piece == thought.close else "thought"
            else:
                self.tail = (self.tail + piece)[-_TAIL:]
                self._show("reasoning", piece)
        elif isinstance(piece, Tag):
            self._accept_tag(piece)
        else:
            self._say(piece)

    def _accept_tag(self, tag: Tag) -> None:
        """A tag outside of a thought and of a call."""
        thought, pairs = self._markup.thought, self._markup.calls
        opened = next((pair for pair in pairs if pair.open == tag), None)
        if opened is not None:
            self._call_tags, self._call, self.state = opened, "", "call"
        elif thought and tag == thought.open and self.state == "start":
            self._show("reasoning", "\n")  # between two thoughts; dropped before the first
            self.state, self.has_thought = "thought", True
        elif tag not in self._markup.tag_ids.values():
            self._say(tag)  # a tag that is a token of its own is a control token, and no text

    def _end_call(self, close: str) -> None:
        assert self._call_tags is not None
        self.state = "answer"
        try:
            calls = parse_calls(self._call, self._markup.tools)
        except MalformedCallError as error:
            what = "A tool call" if close else "A tool call that was cut off"
            self.warnings.append(f"{what} {error}; it was left in the text.")
            self._say(self._call_tags.open + self._call + close)
            return
        self.calls += calls
        for name in unknown_tools(calls, self._markup.tools):
            self.warnings.append(f"The model calls {name}, which is none of its tools.")

    def _say(self, text: str) -> None:
        if text.strip():
            self.state = "answer"
        self._show("text", text)

    def _show(self, kind: Literal["reasoning", "text"], text: str) -> None:
        if shown := self._trims[kind].feed(text):
            self._pieces.append(AnswerPiece(kind, shown))


class _Trimmer:
    """Leaves out blanks at both ends of a text that comes in pieces."""

    def __init__(self, is_plain: bool) -> None:
        self._is_plain = is_plain
        self._has_text = False
        self._held = ""

    def feed(self, piece: str) -> str:
        """What can be shown now: blanks wait for what follows them."""
        if self._is_plain:
            return piece
        text = self._held + piece if self._has_text else piece.lstrip()
        shown = text.rstrip()
        self._has_text = self._has_text or bool(shown)
        self._held = text[len(shown) :]
        return shown
