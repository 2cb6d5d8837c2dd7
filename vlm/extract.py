"""Fields of a document as typed values: one question a field, written together, over pages that are
encoded once.

The answer to a question is held to the type of its field as it is written. A field that the model
says is not in the document is empty.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack

from ..errors import ConfigError
from .answer import Answer
from .ask_options import AskOptions
from .conversation import Medium
from .field_grammar import field_grammar
from .field_values import TYPES, FieldType, read_choice, read_value
from .limits import ModelLimits
from .tool_grammar import Grammar

if TYPE_CHECKING:
    from .vlm import VLM

_ABSENT = re.compile(
    r"not (?:in|on|given in|found in) (?:the|this) (?:document|page)"
    r"|^(?:none|n/a|not (?:given|found|stated|available))\.?$",
    re.IGNORECASE,
)


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
        choices: the texts that a string must be one of; none allow any.
    """

    name: str
    type: FieldType = "string"
    question: str | None = None
    choices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ConfigError("A field needs a name.")
        if self.choices and self.type != "string":
            raise ConfigError(f"The field {self.name!r} has choices, so its type must be string.")
        if self.type not in TYPES:
            raise ConfigError(
                f"The field {self.name!r} has the type {self.type!r}; it must be one of "
                f"{', '.join(TYPES)}."
            )

    @property
    def asked(self) -> str:
        """The question."""
        return self.question or f"What is the {self.name.replace('_', ' ')}?"

    @property
    def answer_format(self) -> Grammar | None:
        """What an answer may be; None is anything."""
        return field_grammar(self.type, self.choices)


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
        value: None where the document has no such field, or the answer cannot be read as one, such
            as a day that no month has.
        text: the answer as the model gave it.
        confidence: how often an answer of this kind of confidence was right on held-out documents,
            if the model was calibrated; else the model's own.
        page: the page it was read from, from 1; None where that is not clear.
    """

    value: str | float | int | bool | None
    text: str
    confidence: float
    page: int | None = None
    warnings: tuple[str, ...] = field(default=(), repr=False)


Fields: TypeAlias = str | Iterable[str | FieldSpec] | Mapping[str, Any]


def read_fields(fields: Fields) -> list[FieldSpec]:
    """Fields from "number,date,total", a list, or a JSON schema of an object.

    In the short form a type follows a colon: `total:number`. Of a schema its `properties` are
    taken: `type`, `format: date`, `enum` of texts, and `description` as the question.

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
    """Ask for each field; `options` go to `VLM.ask_batch`.

    A thought before an answer is free.

    Raises:
        MediaError, PromptError: as `VLM.ask`.
    """
    questions = [
        {"question": each.asked, "media": list(media), "answer_format": each.answer_format}
        for each in fields
    ]
    answers = vlm.ask_batch(questions, **options)
    # The number of a page that was picked out of a document is not known from the answer.
    first = 1 if options.get("pages") is None and len(media) == 1 else None
    return {
        spec.name: judge(vlm.limits, spec, answer, first_page=first)
        for spec, answer in zip(fields, answers, strict=True)
    }


def judge(
    limits: ModelLimits, spec: FieldSpec, answer: Answer, *, first_page: int | None = None
) -> Extracted:
    """What an answer to the question of a field says of that field.

    Args:
        first_page: the number of the first page that was shown, if that is known.
    """
    text = answer.text.strip()
    page = first_page if len(answer.usage.page_tokens) == 1 else None
    if answer.pages:
        page = answer.pages[0].number or answer.pages[0].index + 1
    value = text if text in spec.choices else None
    if text and value is None and not _ABSENT.search(text):
        value = read_choice(text, spec.choices) if spec.choices else read_value(text, spec.type)
    return Extracted(
        value=value,
        text=text,
        confidence=limits.calibrated(answer.confidence),
        page=page if value is not None else None,
        warnings=answer.warnings,
    )


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
    kinds: Any = value.get("type", "string")
    if isinstance(kinds, list):  # a field may be absent in any case
        kinds = [kind for kind in kinds if kind != "null"]
        kinds = kinds[0] if len(kinds) == 1 else " or ".join(map(str, kinds))
    choices = value.get("enum") or ()
    if not isinstance(choices, list | tuple) or any(
        not isinstance(choice, str | None) for choice in choices
    ):
        raise ConfigError(f"The field {name!r} has an enum of something other than texts.")
    return FieldSpec(
        name=name,
        type="date" if value.get("format") == "date" else kinds,
        question=value.get("description"),
        choices=tuple(choice for choice in choices if choice is not None),
    )
