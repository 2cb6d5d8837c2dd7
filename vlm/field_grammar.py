"""The answer to the question of a field as a grammar: a value of its type as documents print them,
or a word for that there is none.

What is taken here `field_values.py` reads. A text without choices is free.
"""

import json
from collections.abc import Sequence

from .field_values import MONTHS, FieldType
from .tool_grammar import Grammar

# The longest numbers and names of units; without an end a model may never come to one.
_DIGITS, _GROUPS = 15, 6
_NONE = (
    r"((It is |This is |That is )?[Nn]ot (in|on|given in|found in) (the|this) (document|page)"
    r"|None|N\/A|[Nn]ot (given|found|stated|available))\.?"
)
_MONEY = r"([$€£¥₹]|[A-Z]{3})"
_UNIT = r"( ?([%‰°$€£¥₹]|[A-Za-z]{1,12}\.?))?\.?"
_SIGNED = rf"[-+]?({_MONEY} ?)?[-+]?"
_NUMBER = rf"{_SIGNED}\d{{1,{_DIGITS}}}([.,' ]\d{{1,{_DIGITS}}}){{0,{_GROUPS}}}{_UNIT}"
_INTEGER = rf"{_SIGNED}(\d{{1,{_DIGITS}}}|\d{{1,3}}([.,' ]\d{{3}}){{1,{_GROUPS}}}){_UNIT}"
_TRUTH = r"([Yy]es|[Nn]o|[Tt]rue|[Ff]alse)\.?"

_DAY, _MONTH, _YEAR = r"(0?[1-9]|[12]\d|3[01])", r"(0?[1-9]|1[0-2])", r"(\d{4}|\d{2})"
_NAMED = rf"(?i:{'|'.join(MONTHS)})[A-Za-z]{{0,6}}\.?"
_NTH = r"(st|nd|rd|th)?"
_DATES = (
    rf"\d{{4}}[-\/.]{_MONTH}[-\/.]{_DAY}",
    rf"({_DAY}[-\/.] ?{_MONTH}|{_MONTH}[-\/]{_DAY})[-\/.] ?{_YEAR}",
    rf"{_DAY}{_NTH}\.?[- ]{_NAMED},?[- ]{_YEAR}",
    rf"{_NAMED} {_DAY}{_NTH},? \d{{4}}",
)
_DATE = rf"(?:{'|'.join(_DATES)})\.?"
_PATTERNS = {"number": _NUMBER, "integer": _INTEGER, "boolean": _TRUTH, "date": _DATE}


def field_grammar(kind: FieldType, choices: Sequence[str] = ()) -> Grammar | None:
    """What an answer may be; None is anything.

    Args:
        kind: of the field.
        choices: the texts that a string must be one of.
    """
    if choices:
        value = " | ".join(json.dumps(each, ensure_ascii=False) for each in choices if each)
    elif kind in _PATTERNS:
        value = f"/{_PATTERNS[kind]}/"
    else:
        return None
    return Grammar(f"start: value | none\nvalue: {value}\nnone: /{_NONE}/")
