"""Answers in words to values of a type: numbers, dates and yes or no, as documents print them."""

import re
from collections.abc import Sequence
from datetime import date
from typing import Literal, TypeAlias

FieldType: TypeAlias = Literal["string", "number", "integer", "date", "boolean"]
TYPES: tuple[FieldType, ...] = ("string", "number", "integer", "date", "boolean")
# A sign may stand before the currency.
_NUMBER = re.compile(r"([-+]?)(?:(?:[$€£¥₹]|\b[A-Z]{3})\s?)?([-+]?\d[\d.,' ]*)")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:[.,' ]\d{3})+")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TRUTHS = {"yes": True, "true": True, "no": False, "false": False}


def read_choice(text: str, choices: Sequence[str]) -> str | None:
    """The one of the choices that an answer is or, if none is, that alone it mentions."""
    folded = text.strip().rstrip(".").casefold()
    for choice in choices:
        if choice.casefold() == folded:
            return choice
    found = [
        choice
        for choice in choices
        if re.search(rf"(?<!\w){re.escape(choice.casefold())}(?!\w)", folded)
    ]
    return found[0] if len(found) == 1 else None


def read_value(text: str, kind: FieldType) -> str | float | int | bool | None:
    """An answer as a value of a type, or None.

    Of a number with one kind of separator that comes once, three digits after a comma are
    thousands; otherwise the last separator is the decimal point.
    """
    if kind == "string":
        return text
    if kind == "date":
        return _read_date(text)
    if kind == "boolean":
        word = re.match(r"\W*(\w+)", text)
        return _TRUTHS.get(word[1].casefold()) if word else None
    found = _NUMBER.search(text)
    if found is None:
        return None
    sign, digits = found.groups()
    digits = sign.strip("+") + digits.strip() if digits[0].isdecimal() else digits.strip()
    if kind == "integer" and _THOUSANDS.fullmatch(digits):
        return int(re.sub(r"[.,' ]", "", digits))
    number = _read_number(digits)
    if kind == "number" or number is None:
        return number
    return int(number) if number == int(number) else None


def _read_number(text: str) -> float | None:
    text = text.strip().rstrip(".,").replace(" ", "").replace("'", "")
    commas, points = text.count(","), text.count(".")
    if commas and points:
        last = max(text.rfind(","), text.rfind("."))
        whole = re.sub(r"[.,]", "", text[:last])
        text = f"{whole}.{text[last + 1 :]}"
    elif commas > 1 or points > 1:
        text = re.sub(r"[.,]", "", text)
    elif commas == 1:
        tail = text.split(",")[1]
        text = text.replace(",", "") if len(tail) == 3 else text.replace(",", ".")
    try:
        return float(text)
    except ValueError:
        return None


def _read_date(text: str) -> str | None:
    """Dates as documents print them: 2024-05-31, 31.05.2024, 5 May 2024, May 5, 2024."""
    parts = re.findall(r"\d+|[A-Za-z]{3,}", text)
    month = next((MONTHS.index(p[:3].lower()) + 1 for p in parts if p[:3].lower() in MONTHS), 0)
    numbers = [int(p) for p in parts if p.isdecimal()][:3]
    if month and len(numbers) == 2:
        day, year = sorted(numbers)
    elif len(numbers) == 3 and not month:
        if numbers[0] > 31:
            year, month, day = numbers
        else:
            day, month, year = numbers
            if month > 12 >= day:  # written month first
                day, month = month, day
    else:
        return None
    if year < 100:
        year += 2000
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None
