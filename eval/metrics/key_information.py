"""Key information: a reply's keys and values against those of a form.

L. Fu et al., "OCRBench v2", NeurIPS 2025 (datasets track), section 4: the mean over all keys, of
either side, of whether the value is right.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from .literal import read_literal

_FENCED = re.compile(r"```(?:python|json)?\n(.*?)\n```", re.DOTALL | re.IGNORECASE)
_PAIR = re.compile(r'["\']?([\w\s]+)["\']?\s*[:=]\s*["\']?([^\n,"\'{}]+)["\']?')


def read_pairs(reply: str) -> dict[str, str]:
    """The mapping in a reply: as JSON, as Python, or else every `key: value` or `key = value`."""
    fenced = _FENCED.search(reply)
    text = fenced.group(1) if fenced else reply.strip()
    try:
        return _texts(json.loads(text))
    except (json.JSONDecodeError, RecursionError):
        pass
    try:
        return _texts(read_literal(text))
    except ValueError:
        return {key.strip(): value.strip() for key, value in _PAIR.findall(text)}


def _texts(value: Any) -> dict[str, str]:
    """Keys and values as text; nothing if it is no mapping of texts."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        return {}
    return {key.strip(): str(item).strip() for key, item in value.items()}


def read_golds(answer: str | Mapping[str, Any]) -> dict[str, list[str]]:
    """Key to all its right values, from a mapping or its text as JSON or Python."""
    value: Any = answer
    if isinstance(answer, str):
        text = answer.strip('"')
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = read_literal(text)
            value = value if isinstance(value, dict) else read_literal(value)
    return {
        key: list(right) if isinstance(right, list | tuple) else [right]
        for key, right in value.items()
    }


def key_information_f1(pairs: Mapping[str, str], golds: Mapping[str, Sequence[str]]) -> float:
    """Share of all keys, the reply's and the form's, whose value is one of the right ones.

    Capitals and blanks do not count. A key that the form has not is wrong.
    """
    keys = pairs.keys() | golds.keys()
    if not keys or not all(golds.values()):
        return 0.0
    right = sum(
        _plain(pairs[key]) in [_plain(value) for value in golds[key]]
        for key in pairs.keys() & golds.keys()
    )
    return right / len(keys)


def _plain(value: str) -> str:
    return value.lower().strip().replace("\n", " ").replace(" ", "")
