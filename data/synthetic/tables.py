"""What tables are about: goods, people, journeys, stock, scores, orders, sales."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from . import values
from .draft import Column, Draft, Table

# Draws the text of a cell and the number it stands for (None: not to be compared).
CellMaker = Callable[[Draft], tuple[str, int | None]]


@dataclass(frozen=True)
class ColumnKind:
    """A column: how it is asked for, its headers, its cells, whether it is set to the right."""

    asked: str
    headers: tuple[str, ...]
    make: CellMaker
    right: bool = False


@dataclass(frozen=True)
class TableKind:
    """A subject: what its rows are, what identifies them, and what else they tell."""

    noun: str
    plural: str
    key_headers: tuple[str, ...]
    make_key: Callable[[random.Random, str], str]
    columns: tuple[ColumnKind, ...]


def _money(draft: Draft) -> tuple[str, int]:
    for _ in range(400):
        cents = values.random_cents(draft.content, 5)
        if draft.money_on_side(cents):
            return draft.money(cents), cents
    raise AssertionError("no amount on this side")


def _count(low: int, high: int) -> CellMaker:
    def make(draft: Draft) -> tuple[str, int]:
        number = draft.content.randint(low, high)
        return str(number), number

    return make


def _text(make: Callable) -> CellMaker:
    return lambda draft: (make(draft.content, draft.split), None)


def _date(draft: Draft) -> tuple[str, None]:
    return values.date(draft.content, draft.split, draft.formats.date_pattern), None


_PRICE = ColumnKind("price", ("Price", "Price", "Unit price", "Cost"), _money, True)
_QUANTITY = ColumnKind("quantity", ("Qty", "Quantity", "Pcs"), _count(1, 50), True)

TABLE_KINDS: dict[str, TableKind] = {
    "goods": TableKind("item", "items", ("Item", "Description", "Article", "Product"),
                       values.item, (_QUANTITY, _PRICE)),
    "prices": TableKind("item", "items", ("Item", "Product", "Goods", "Menu"),
                        values.item, (_PRICE,)),
    "staff": TableKind("person", "people", ("Name", "Employee", "Person"),
                       values.person,
                       (ColumnKind("phone number", ("Phone", "Tel"), _text(values.phone)),
                        ColumnKind("room", ("Room", "Office"), _count(1, 399), True))),
    "guests": TableKind("guest", "guests", ("Guest", "Name"),
                        values.person,
                        (ColumnKind("table", ("Table",), _count(1, 40), True),
                         ColumnKind("city", ("City", "From"), _text(values.city)))),
    "trips": TableKind("city", "cities", ("City", "To", "Destination"),
                       values.city,
                       (ColumnKind("time", ("Time", "Departs"), _text(values.clock)),
                        ColumnKind("platform", ("Platform", "Track"), _count(1, 30), True))),
    "stock": TableKind("item", "items", ("Part", "Item", "Article"),
                       values.item,
                       (ColumnKind("stock", ("Stock", "In stock"), _count(0, 900), True),
                        ColumnKind("code", ("Code", "Shelf"), _text(values.code)))),
    "scores": TableKind("player", "players", ("Player", "Name", "Team"),
                        values.person,
                        (ColumnKind("score", ("Score", "Points"), _count(0, 999), True),)),
    "orders": TableKind("order", "orders", ("Order", "Order no"),
                        values.code,
                        (ColumnKind("customer", ("Customer", "Client"), _text(values.person)),
                         ColumnKind("amount", ("Amount", "Sum"), _money, True),
                         ColumnKind("date", ("Date", "Sent"), _date))),
    "sales": TableKind("city", "cities", ("City", "Branch", "Office"),
                       values.city,
                       (ColumnKind("sales figure", ("Sales", "Revenue"), _count(10, 9999), True),)),
}  # fmt: skip


def make_table(draft: Draft, name: str, rows: int, columns: int = 0) -> Table:
    """Draws the content of a table: distinct keys, and for each its cells.

    Args:
        draft: the document; every cell becomes one of its slots.
        name: a key of `TABLE_KINDS`.
        rows: number of rows.
        columns: how many columns beside the key; 0 draws it.
    """
    rng, kind = draft.content, TABLE_KINDS[name]
    keys: list[str] = []
    while len(keys) < rows:
        key = kind.make_key(rng, draft.split)
        if key.lower() not in (other.lower() for other in keys):
            keys.append(key)
    count = columns or rng.randint(1, len(kind.columns))
    chosen = sorted(rng.sample(range(len(kind.columns)), min(count, len(kind.columns))))
    made = []
    for column in (kind.columns[idx] for idx in chosen):
        header = rng.choice(column.headers)
        texts, numbers, slots = [], [], []
        for idx in range(rows):
            text, number = column.make(draft)
            slot = f"row {idx + 1} {column.asked}"
            texts.append(draft.value(slot, _remaker(draft, column), text))
            slots.append(slot)
            if number is not None:
                numbers.append(number)
        made.append(
            Column(header, column.asked, tuple(texts), tuple(numbers), tuple(slots), column.right)
        )
    return Table(kind.noun, kind.plural, rng.choice(kind.key_headers), tuple(keys), tuple(made))


def _remaker(draft: Draft, column: ColumnKind) -> Callable[[], str]:
    return lambda: column.make(draft)[0]
