"""A document being written: its rows, and what may be asked about it."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from . import values
from .config import GeneratorConfig
from .fields import FIELDS, FieldKind, Formats
from .sheet import Cell, Row, Style, draw_style
from .splits import on_side


@dataclass(frozen=True)
class Slot:
    """A printed value that can be redrawn: its text, and how to make another."""

    text: str
    remake: Callable[[], str]


@dataclass(frozen=True)
class Field:
    """A printed field: its kind, its label, its value, and the slot the value fills."""

    kind: FieldKind
    label: str
    value: str
    slot: str


@dataclass(frozen=True)
class Column:
    """A column of a table beside its key: what it is called, what it prints, its numbers.

    `numbers` are what the texts stand for, for comparing; empty where that makes no sense.
    """

    header: str
    asked: str
    texts: tuple[str, ...]
    numbers: tuple[int, ...]
    slots: tuple[str, ...]
    right: bool


@dataclass(frozen=True)
class Table:
    """A printed table: one row for each key."""

    noun: str
    plural: str
    key_header: str
    keys: tuple[str, ...]
    columns: tuple[Column, ...]


class Draft:
    """Collects the rows of one document, with every value that is printed in them.

    Two random sources keep apart what is said (`content`) and how it looks (`look`), so that a
    page with one value replaced is otherwise the same page.

    Args:
        content: random source of words and values.
        look: random source of layout.
        config: the settings.
        overrides: values to print instead of those drawn, by slot.
    """

    def __init__(
        self,
        content: random.Random,
        look: random.Random,
        config: GeneratorConfig,
        overrides: dict[str, str] | None = None,
    ):
        self.content = content
        self.look = look
        self.config = config
        self.split = config.split
        self.overrides = overrides or {}
        self.style: Style = draw_style(look, config)
        self.formats = Formats(
            date_pattern=content.randrange(8),
            number_style=values.number_format(content),
            currency=content.choice(("", *values.CURRENCIES)),
        )
        self.rows: list[Row] = []
        self.fields: list[Field] = []
        self.table: Table | None = None
        self.slots: dict[str, Slot] = {}

    def value(self, slot: str, remake: Callable[[], str], text: str | None = None) -> str:
        """Enters a value: `text`, or one made by `remake()`, unless the slot is overridden."""
        text = remake() if text is None else text
        text = self.overrides.get(slot, text)
        self.slots[slot] = Slot(text, remake)
        return text

    def make_field(self, name: str, text: str | None = None) -> Field:
        """Enters a field of that kind with a drawn label and value; its row is up to the caller."""
        kind = FIELDS[name]
        label = self.content.choice(kind.labels)
        if self.style.upper_labels:
            label = label.upper()
        make = kind.make

        def remake() -> str:
            value = make(self.content, self.split, self.formats)
            share = self.config.scrambled
            if share and self.content.random() < share:
                value = values.similar(self.content, self.split, value, near=0.0)
            return value

        value = self.value(name, remake, text)
        field = Field(kind, label, value, name)
        self.fields.append(field)
        return field

    def make_fields(self, names: tuple[str, ...], count: int) -> list[Field]:
        """Enters up to `count` fields chosen from `names`, no two of one group."""
        chosen: list[FieldKind] = []
        taken = {field.kind.group for field in self.fields}
        for name in self.content.sample(names, len(names)):
            if len(chosen) < count and FIELDS[name].group not in taken:
                chosen.append(FIELDS[name])
                taken.add(FIELDS[name].group)
        return [self.make_field(kind.name) for kind in chosen]

    def money(self, cents: int) -> str:
        """An amount in the document's own notation."""
        return values.format_cents(cents, self.formats.number_style, self.formats.currency)

    def money_on_side(self, cents: int) -> bool:
        return on_side(self.money(cents), self.split)

    def add(self, *cells: Cell, **options) -> Row:
        """Appends a row of cells."""
        row = Row(list(cells), **options)
        self.rows.append(row)
        return row

    def gap(self) -> int:
        """A space between blocks, in pixels."""
        return self.look.randint(0, self.style.size // 2)
