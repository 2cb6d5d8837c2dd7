"""Numbers as people write them: counts, bytes, lengths."""

import re

from ..errors import InputError

_LENGTH = re.compile(r"^(\d+(?:\.\d+)?)\s*([km]?)$", re.IGNORECASE)
_RANGE = re.compile(r"^(\d+)(?:\s*(?:-|,|to)\s*(\d+))?$")
_FACTORS = {"": 1, "k": 1024, "m": 1024**2}


def count(number: float) -> str:
    """`31.58B`, `61.4M`, `512`."""
    for factor, letter in [(1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")]:
        if number >= factor:
            return f"{number / factor:.2f}{letter}"
    return f"{number:.0f}"


def size(number: float) -> str:
    """`58.8 GiB`, `0.8 MiB`."""
    for power, unit in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")]:
        if number >= 2**power:
            return f"{number / 2**power:.1f} {unit}"
    return f"{number:.0f} B"


def read_length(text: str, *, option: str) -> int:
    """`128k` is 131072 tokens, `1m` 1048576, `500` itself.

    Raises:
        InputError: it is no length.
    """
    found = _LENGTH.match(text.strip())
    length = int(float(found[1]) * _FACTORS[found[2].lower()]) if found else 0
    if length < 1:
        raise InputError(
            f"{option} is {text!r}, which is no number of tokens such as 4096 or 128k."
        )
    return length


def read_range(text: str, *, option: str) -> tuple[int, int]:
    """`2-5` is from 2 to 5, `5` from 5 to 5.

    Raises:
        InputError: it is neither, or falls.
    """
    found = _RANGE.match(text.strip())
    low, high = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if low > high:
        raise InputError(f"{option} is {text!r}, which is no range of whole numbers such as 2-5.")
    return low, high
