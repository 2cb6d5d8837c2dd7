"""Tokens to text while they come: whole characters only, and never part of a stop text."""

from collections.abc import Callable, Sequence

_REPLACEMENT = "\ufffd"
# A character has at most four bytes, so four tokens; twice that is bytes that are no character.
_MAX_HELD_TOKENS = 8


class TokenDecoder:
    """Decodes one token after another, holding bytes back until a character is whole.

    Each step decodes a short window, begun one piece earlier, since some tokenizers drop the
    blank of the first word they decode.

    Args:
        decode: ids to text; bytes that are no character become U+FFFD.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._begin = self._read = 0

    def feed(self, idx: int) -> str:
        """The text that this token completes, often nothing."""
        self._ids.append(idx)
        return self._advance(is_end=False)

    def finish(self) -> str:
        """What was held back, as it is."""
        return self._advance(is_end=True)

    def _advance(self, *, is_end: bool) -> str:
        known = self._decode(self._ids[self._begin : self._read])
        whole = self._decode(self._ids[self._begin :])
        num_held = len(self._ids) - self._read
        is_partial = whole.endswith(_REPLACEMENT) and num_held < _MAX_HELD_TOKENS
        piece = whole[len(known) :]
        if not piece or (is_partial and not is_end):
            return ""
        self._begin, self._read = self._read, len(self._ids)
        return piece


class StopFinder:
    """Passes text on up to the first stop text, which may come in several pieces.

    Of several stop texts the one that is complete first counts, however the text is cut.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.is_found = False

    def feed(self, piece: str) -> str:
        """The text that can no longer be part of a stop text."""
        if self.is_found or not self._stops:
            return "" if self.is_found else piece
        text = self._held + piece
        found = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.is_found = True
            self._held = ""
            return text[: min(found)[1]]
        num_held = max(overlap(text, stop) for stop in self._stops)
        self._held = text[len(text) - num_held :]
        return text[: len(text) - num_held]

    def finish(self) -> str:
        """What was held back and did not become a stop text."""
        held, self._held = self._held, ""
        return held


def overlap(text: str, stop: str) -> int:
    """How many characters at the end of `text` begin `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
