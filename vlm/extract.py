"""Fields of a document as typed values: one question a field, over pages that were opened once.

A field that the model says is not in the document, or whose answer is of another type, is empty.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Unpack

from ..errors import ConfigError
from .answer import Answer
from .ask_options import AskOptions
from .conversation import Medium
from .limits import ModelLimits

if TYPE_CHECKING:
    from .vlm import VLM

FieldType: TypeAlias = Literal["string", "number", "integer", "date"]
TYPES: tuple[FieldType, ...] = ("string", "number", "integer", "date")
_ABSENT = re.compile(r"not (?:in|on|given in) (?:the|this) (?:document|page)", re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?\d[\d.,' ]*")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


@dataclass(frozen=True, kw_only=True)
class FieldSpec:
    """What to look for.

    Example:
        ```python
        import latentvlm

        fields = [latentvlm.FieldSpec(name="total", type="number", question="What is the total?")]
        print(latentvlm.load().extract(fields, "invoice.png"))
        ```

    Attributes:
        name: of the column.
        type: what a value must be; a date is given as YYYY-MM-DD.
        question: how the model is asked; None asks for the name.
    """

    name: str
    type: FieldType = "string"
    question: str | None = None

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ConfigError("A field needs a name.")
        if self.type not in TYPES:
            raise ConfigError(
                f"The field {self.name!r} has the type {self.type!r}; it must be one of "
                f"{', '.join(TYPES)}."
            )

    @property
    def asked(self) -> str:
        """The question."""
        return self.question or f"What is the {self.name.replace('_', ' ')}?"


@dataclass(frozen=True, kw_only=True)
class Extracted:
    """One field of one document.

    Example:
        ```python
        import latentvlm

        total = latentvlm.load().extract("total:number", "invoice.png")["total"]
        print(total.value, total.text, total.confidence, total.page)
        ```

    Attributes:
        value: None where the document has no such field, or the answer is of another type.
        text: the answer as the model gave it.
        confidence: how often an answer of this kind of confidence was right on held-out documents,
            if the model was calibrated; else the model's own.
        page: the page it was read from, from 1; None where that is not clear.
    """

    value: str | float | int | None
    text: str
    confidence: float
    page: int | None = None
    warnings: tuple[str, ...] = field(default=(), repr=False)


Fields: TypeAlias = str | Iterable[str | FieldSpec] | Mapping[str, Any]


def read_fields(fields: Fields) -> list[FieldSpec]:
    """Fields from "number,date,total", a list, or a JSON schema of an object.

    In the short form a type follows a colon: `total:number`. Of a schema its `properties` are
    taken: `type`, `format: date`, and `description` as the question.

    Raises:
        ConfigError: there is none, one comes twice, or a type is not known.
    """
    if isinstance(fields, str):
        fields = fields.split(",")
    found: list[FieldSpec]
    if isinstance(fields, Mapping):
        found = [_from_schema(name, value) for name, value in _properties(fields).items()]
    else:
        found = [each if isinstance(each, FieldSpec) else _from_text(each) for each in fields]
    names = [each.name for each in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if not found or twice:
        what = f"The field {twice[0]!r} is named twice." if twice else "No field is named."
        raise ConfigError(f"{what} Give fields such as 'number,date:date,total:number'.")
    return found


def extract(
    vlm: "VLM", fields: Sequence[FieldSpec], media: Sequence[Medium], **options: Unpack[AskOptions]
) -> dict[str, Extracted]:
    """Ask for each field; `options` go to `VLM.ask`.

    Raises:
        MediaError, PromptError: as `VLM.ask`.
    """
    return {
        each.name: judge(vlm.limits, each, vlm.ask(each.asked, *media, **options))
        for each in fields
    }


def judge(limits: ModelLimits, spec: FieldSpec, answer: Answer) -> Extracted:
    """What an answer to the question of a field says of that field."""
    text = answer.text.strip()
    cited = answer.pages[0] if answer.pages else None
    page = None if cited is None else cited.number or cited.index + 1
    value = None if _ABSENT.search(text) or not text else read_value(text, spec.type)
    return Extracted(
        value=value,
        text=text,
        confidence=limits.calibrated(answer.confidence),
        page=page if value is not None else None,
        warnings=answer.warnings,
    )


def read_value(text: str, kind: FieldType) -> str | float | int | None:
    """An answer as a value of a type, or None.

    Of a number with one kind of separator that comes once, three digits after a comma are
    thousands; otherwise the last separator is the decimal point.
    """
    if kind == "string":
        return text
    if kind == "date":
        return _read_date(text)
    found = _NUMBER.search(text)
    if found is None:
        return None
    number = _read_number(found[0])
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
    month = next((_MONTHS.index(p[:3].lower()) + 1 for p in parts if p[:3].lower() in _MONTHS), 0)
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


def _from_text(text: str) -> FieldSpec:
    name, _, kind = text.partition(":")
    return FieldSpec(name=name.strip(), type=kind.strip() or "string")  # type: ignore[arg-type]


def _properties(schema: Mapping[Any, Any]) -> Mapping[str, Any]:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        raise ConfigError("The schema has no properties; give the JSON schema of an object.")
    return properties


def _from_schema(name: str, value: Any) -> FieldSpec:
    value = value if isinstance(value, Mapping) else {}
    kind = "date" if value.get("format") == "date" else value.get("type", "string")
    return FieldSpec(name=name, type=kind, question=value.get("description"))
