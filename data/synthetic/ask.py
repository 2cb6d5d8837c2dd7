"""Questions about a finished draft, with answers exactly as printed."""

import random
import re
from collections.abc import Callable

from .document import QA
from .draft import Column, Draft, Field, Table
from .fields import FIELDS, FieldKind
from .questions import KINDS, NOT_IN_DOCUMENT, phrase
from .tables import TABLE_KINDS
from .values import similar

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
# Fields that a question could look for in the columns of a table: not called absent beside one.
_IN_TABLES = {
    "phone", "room", "city", "date", "time", "name", "contact", "manager", "cashier", "quantity",
    "table", "order number", "gate", "sender", "recipient",
}  # fmt: skip
# Kinds whose answers are found somewhere on a page, by how often more of them are asked.
_LOOKED_UP = (*["field"] * 5, "row", "row", "compare", "yes_no", "absent")
_SHORT_TEXT, _LONG_TEXT = 160, 500  # characters up to which a page is transcribed always, ever


def groups_in(draft: Draft) -> set[str]:
    """Groups of fields that a question could find in a document, or take something in it for."""
    taken = set()
    for field in draft.fields:
        taken |= {field.kind.group, *field.kind.also}
    return taken | _IN_TABLES if draft.table is not None else taken


def _alike(a: QA, b: QA) -> bool:
    """Whether two questions ask the same: kind and answer agree, and more than yes or no."""
    if a.kind != b.kind or a.kind == "yes_no":
        return a.question == b.question
    return a.answer == b.answer and a.slot == b.slot and a.kind != "absent"


class Asker:
    """Draws questions about one draft; each method makes one question or None."""

    def __init__(self, draft: Draft, lines: tuple[str, ...], rng: random.Random):
        self.draft = draft
        self.lines = lines
        self.rng = rng
        self.split = draft.split
        self._kinds: dict[str, tuple[Callable[[], QA | None], ...]] = {
            "field": (self.field, self.cell),
            "row": (self.row,),
            "count": (self.count_rows, self.count_lines),
            "compare": (self.extreme, self.versus),
            "read_line": (self.read_line,),
            "transcribe": (self.transcribe,),
            "yes_no": (self.is_value, self.has_field, self.is_listed),
            "absent": (self.absent_field, self.absent_cell),
        }

    def ask(self, limit: int) -> tuple[QA, ...]:
        """Up to `limit` questions of differing kinds, those for values first in number."""
        rng = self.rng
        kinds = ["field", "field", *self._kinds, "row", "compare", "yes_no", "read_line"]
        wanted = self.draft.config.question_kinds or KINDS
        kinds = [kind for kind in kinds if kind in wanted]
        if len(kinds) > 1 and "absent" in kinds and rng.random() < 0.5:
            kinds.remove("absent")  # or a guesser does well by calling every field absent
        made: list[QA] = []
        for kind in rng.sample(kinds, len(kinds)):
            if len(made) == limit:
                break
            self._add(kind, made)
        looked_up = [kind for kind in _LOOKED_UP if kind in wanted]
        for _ in range(self.draft.config.more_lookups if looked_up else 0):
            self._add(rng.choice(looked_up), made)
        return tuple(made)

    def _add(self, kind: str, made: list[QA]) -> None:
        """One more question of a kind, unless the draft has nothing to ask or it was asked."""
        makers = self._kinds[kind]
        for make in self.rng.sample(makers, len(makers)):
            qa = make()
            if qa is not None:
                if not any(_alike(qa, other) for other in made):
                    made.append(qa)
                return

    def _phrase(self, what: str, **slots: str) -> str:
        return phrase(self.rng, what, self.split, **slots)

    def _asked(self, kind: FieldKind) -> str:
        return kind.asked[0] if self.rng.random() < 0.7 else self.rng.choice(kind.asked)

    # Values

    def field(self) -> QA | None:
        if not self.draft.fields:
            return None
        return self.about(self.rng.choice(self.draft.fields))

    def about(self, field: Field) -> QA:
        """The value of one field."""
        question = self._phrase("field", asked=self._asked(field.kind))
        return QA("field", question, field.value, field.slot)

    def _column(self, numbers: bool = False) -> tuple[Table, Column] | None:
        table = self.draft.table
        if table is None:
            return None
        columns = [column for column in table.columns if column.numbers or not numbers]
        return (table, self.rng.choice(columns)) if columns else None

    def cell(self) -> QA | None:
        found = self._column()
        if found is None:
            return None
        table, column = found
        idx = self.rng.randrange(len(table.keys))
        question = self._phrase("cell", asked=column.asked, key=table.keys[idx])
        return QA("field", question, column.texts[idx], column.slots[idx])

    def row(self) -> QA | None:
        found = self._column()
        if found is None:
            return None
        table, column = found
        idx = self.rng.randrange(len(table.keys))
        value = column.texts[idx]
        if column.texts.count(value) > 1:
            return None
        question = self._phrase("row", noun=table.noun, asked=column.asked, value=value)
        return QA("row", question, table.keys[idx])

    # Numbers

    def count_rows(self) -> QA | None:
        table = self.draft.table
        if table is None:
            return None
        question = self._phrase("count_rows", plural=table.plural)
        return QA("count", question, str(len(table.keys)))

    def count_lines(self) -> QA | None:
        if len(self.lines) > 20:
            return None
        return QA("count", self._phrase("count_lines"), str(len(self.lines)))

    def extreme(self) -> QA | None:
        found = self._column(numbers=True)
        if found is None:
            return None
        table, column = found
        what, pick = self.rng.choice((("most", max), ("least", min)))
        best = pick(column.numbers)
        if column.numbers.count(best) > 1:
            return None
        question = self._phrase(what, noun=table.noun, asked=column.asked)
        return QA("compare", question, table.keys[column.numbers.index(best)])

    def versus(self) -> QA | None:
        found = self._column(numbers=True)
        if found is None or len(found[0].keys) < 2:
            return None
        table, column = found
        a, b = self.rng.sample(range(len(table.keys)), 2)
        if column.numbers[a] == column.numbers[b]:
            return None
        question = self._phrase(
            "versus", noun=table.noun, asked=column.asked, a=table.keys[a], b=table.keys[b]
        )
        winner = a if column.numbers[a] > column.numbers[b] else b
        return QA("compare", question, table.keys[winner])

    # Text

    def read_line(self) -> QA | None:
        idx = self.rng.randrange(min(len(self.lines), len(_ORDINALS)))
        ordinal = _ORDINALS[idx]
        if self.rng.random() < 0.25:
            idx, ordinal = len(self.lines) - 1, "last"
        return QA("read_line", self._phrase("read_line", ordinal=ordinal), self.lines[idx])

    def transcribe(self) -> QA | None:
        text = "\n".join(self.lines)
        if len(text) > _LONG_TEXT or (len(text) > _SHORT_TEXT and self.rng.random() < 0.8):
            return None
        return QA("transcribe", self._phrase("transcribe"), text)

    # Yes, no, and not there

    def is_value(self) -> QA | None:
        if not self.draft.fields:
            return None
        field = self.rng.choice(self.draft.fields)
        truth = self.rng.random() < 0.5
        value = field.value
        if not truth and self.rng.random() < 0.5:
            value = self.draft.slots[field.slot].remake()
        elif not truth:
            value = similar(self.rng, self.split, field.value)
        question = self._phrase("is_value", asked=self._asked(field.kind), value=value)
        return QA("yes_no", question, "Yes" if value == field.value else "No")

    def _absent_kind(self) -> FieldKind | None:
        taken = groups_in(self.draft)
        free = [kind for kind in FIELDS.values() if kind.group not in taken]
        return self.rng.choice(free) if free else None

    def has_field(self) -> QA | None:
        if not self.draft.fields:
            return None
        if self.rng.random() < 0.5:
            kind, answer = self.rng.choice(self.draft.fields).kind, "Yes"
        else:
            absent = self._absent_kind()
            if absent is None:
                return None
            kind, answer = absent, "No"
        question = self._phrase("has_field", asked=kind.asked[0])
        return QA("yes_no", re.sub(r"\ba (?=[aeio])", "an ", question), answer)

    def _unlisted(self, table: Table) -> str | None:
        kind = next(kind for kind in TABLE_KINDS.values() if kind.noun == table.noun)
        text = "\n".join(self.lines)
        for _ in range(20):
            key = kind.make_key(self.rng, self.split)
            if key.lower() not in text.lower():
                return key
        return None

    def is_listed(self) -> QA | None:
        table = self.draft.table
        if table is None:
            return None
        truth = self.rng.random() < 0.5
        key = self.rng.choice(table.keys) if truth else self._unlisted(table)
        if key is None:
            return None
        question = self._phrase("is_listed", key=key, plural=table.plural)
        return QA("yes_no", question, "Yes" if truth else "No")

    def absent_field(self) -> QA | None:
        kind = self._absent_kind()
        if kind is None:
            return None
        question = self._phrase("field", asked=self._asked(kind))
        return QA("absent", question, NOT_IN_DOCUMENT)

    def absent_cell(self) -> QA | None:
        found = self._column()
        key = self._unlisted(found[0]) if found else None
        if found is None or key is None:
            return None
        question = self._phrase("cell", asked=found[1].asked, key=key)
        return QA("absent", question, NOT_IN_DOCUMENT)
