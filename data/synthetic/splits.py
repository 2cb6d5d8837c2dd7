"""Which words and values belong to training and which are held out.

A string's side is decided by its checksum, so the two sides share nothing by construction: one
string in six is held out, whatever list or random process it comes from.
"""

from collections.abc import Callable
from zlib import crc32

_SHARE = 6
_TRIES = 400


def is_heldout(text: str) -> bool:
    """Whether training must never show this word or value."""
    return crc32(text.encode("utf-8")) % _SHARE == 0


def on_side(text: str, split: str) -> bool:
    """Whether `text` may be drawn in documents of `split`."""
    return is_heldout(text) == (split == "heldout")


def fresh(make: Callable[[], str], split: str) -> str:
    """Calls `make` until its value belongs to `split`.

    The process must have room for both sides: single digits, say, are not values in this sense.
    """
    for _ in range(_TRIES):
        value = make()
        if on_side(value, split):
            return value
    raise AssertionError(f"no {split} value in {_TRIES} tries; the last was {value!r}")
