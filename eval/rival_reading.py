"""Fields and table rows in the recognised text of a page: for the rival."""

import functools
import re
from collections.abc import Sequence
from itertools import combinations

from ..data.synthetic.fields import FIELDS, FieldKind
from ..data.synthetic.tables import TABLE_KINDS, TableKind
from ..data.synthetic.values import MONTHS
from ..data.synthetic.words import STREET_KINDS, words
from .metrics import edit_distance
from .ocr import Line

_MONTH = f"(?i:{'|'.join(name[:3] for name in MONTHS)})"
_DATE = (
    rf"(?:\d{{4}}-\d\d-\d\d|\d\d[/.]\d\d[/.]\d{{2,4}}|\d\d?[ -]{_MONTH}[a-z]*[ -]\d{{4}}"
    rf"|{_MONTH}[a-z]* \d\d?, \d{{4}})"
)
_MONEY = r"(?:(?:[$£€¥]|[A-Z]{3}) ?)?\d[\d.,]*[.,]\d\d\b"
_CLOCK = r"\d\d?:\d\d(?: ?[ap]m)?"
_PHONE = r"(?:\+\d+ \d{3} \d{4}|\d{3}-\d{3}-\d{4}|\(\d{3}\) ?\d{3}-\d{4}|0\d{4} \d{6})"
_CODE = r"(?:#?(?=[A-Z/-]*\d)[A-Z0-9]+(?:[-/][A-Z0-9]+)*|[A-Z]{5,8})"
_WHOLE = r"\d{1,4}"
_TRADES = "|".join((*words("trades", "train"), *words("trades", "heldout")))
_COMPANY = rf"[^,:]+ (?:Ltd|GmbH|Inc\.|& Co|LLC|AG|S\.A\.)|\S+ (?:{_TRADES})"
# Values that can be told by their form, by the name of the field.
_FORMS = {
    "time": _CLOCK, "phone": _PHONE, "email": r"[\w.]+ ?@ ?[\w.]+", "company": _COMPANY,
    "street": rf"\d+ [\w ]+ (?:{'|'.join(STREET_KINDS)})",
    "postcode": r"(?:\b[A-Z]{2}\d\d? \d[A-Z]{2}\b|\b\d{5}\b)", "weight": r"\d+\.\d kg",
    "rate": r"\d+(?:\.\d)?%",
}  # fmt: skip
# Words of sentences that lead up to a value; {} is the value.
_CUES = {
    "amount due": r"(?:pay|expect) {}", "due date": r"(?:by|before) {}",
    "order number": r"[Oo]rder {}", "delivery date": r"(?:sent on|arrive on|left us on) {}",
    "room": r"[Rr]oom {}", "contact": r"(?:call|Ask for) {},? (?:at|phone)",
    "booking code": r"(?:code is|Booking) {}", "total": r"(?:total is|comes to) {}",
    "policy number": r"[Pp]olicy {}", "end date": r"ends on {}", "deposit": r"deposit of {}",
    "start date": r"(?:starts on|begins on) {}", "seat": r"seat is {}", "gate": r"gate {}",
    "tracking number": r"(?:Track it with|Parcel) {}", "reference": r"reference {}",
    "balance": r"balance is {}", "city": r"(?:See you at \S+(?: [ap]m)? in|moved to [^,]+,) {}",
}  # fmt: skip
_AMOUNTS = (
    "total", "amount due", "balance", "subtotal", "tax", "discount", "shipping", "deposit", "cash",
    "tip",
)  # fmt: skip
_NAMES_OF_LABEL: dict[str, set[str]] = {}
for _kind in FIELDS.values():
    for _label in _kind.labels:
        _NAMES_OF_LABEL.setdefault(_label.lower(), set()).add(_kind.name)
_LABELS = sorted(_NAMES_OF_LABEL, key=len, reverse=True)
_INNER_LABEL = re.compile(rf"(?<=\s)(?:{'|'.join(map(re.escape, _LABELS))}):", re.IGNORECASE)
_NAME = r"[A-Z][\w.]* [A-Z]\w+"
_COLUMN_FORMS = {
    "price": _MONEY, "amount": _MONEY, "phone number": _PHONE, "time": _CLOCK, "date": _DATE,
    "code": _CODE, "city": r"\S+", "customer": r"\S+ \S+",
}  # fmt: skip


class PageText:
    """The recognised lines of a page, and what can be looked up in them.

    Args:
        lines: the lines, top to bottom.
    """

    def __init__(self, lines: Sequence[Line]):
        kept = [line for line in lines if _clean(line.text)]
        self.lines = [_clean(line.text) for line in kept]
        self.text = "\n".join(self.lines)
        self._cells = [line.cells for line in kept]
        self._labelled = self._find_labelled()

    def field(self, asked: str) -> str | None:
        """The value of a field by the name a question gives it; None if it is not there."""
        kinds = [kind for kind in FIELDS.values() if asked.lower() in kind.asked]
        for kind in kinds:
            form = _value_form(kind)
            for labels, value in self._labelled:
                if kind.name not in labels:
                    continue
                # In a sentence more follows the value; and what has another form is no value.
                run = re.search(form, value) if form else None
                if run or form in (None, _CODE):
                    return run.group() if run else value
        for kind in kinds:
            found = self._by_cue(kind) or self._by_form(kind) or self._by_place(kind)
            if found:
                return found
        return None

    def rows(self, *, asked: str, noun: str | None = None) -> dict[str, str]:
        """The cells of a column by the key of their row, of the table that fits best."""
        best: dict[str, str] = {}
        for kind in TABLE_KINDS.values():
            names = [column.asked for column in kind.columns]
            if asked.lower() not in names or (noun is not None and noun.lower() != kind.noun):
                continue
            for columns in self._column_choices(kind):
                if asked.lower() in columns:
                    found = self._match_rows(kind, columns, asked.lower())
                    best = found if len(found) > len(best) else best
        return best

    def num_rows(self, plural: str) -> int:
        """How many rows the table of those things has."""
        kinds = [kind for kind in TABLE_KINDS.values() if kind.plural == plural.lower()]
        counts = [
            len(self._match_rows(kind, columns, columns[0]))
            for kind in kinds
            for columns in self._column_choices(kind)
        ]
        return max(counts, default=0)

    # Fields

    def _find_labelled(self) -> list[tuple[frozenset[str], str]]:
        """(names of the fields a label may stand for, value), in reading order."""
        found = []
        for idx, line in enumerate(self.lines):
            label = _label_at(line)
            while label is not None:
                names, value = label
                # Two pairs may stand side by side; the second then has a colon.
                inner = _INNER_LABEL.search(value)
                label = _label_at(value[inner.start() :]) if inner else None
                value = value[: inner.start()].strip() if inner else value
                if not value and idx + 1 < len(self.lines):
                    below = self.lines[idx + 1]
                    value = below if _label_at(below) is None else ""
                if value:
                    found.append((names, value))
        return found

    def _by_cue(self, kind: FieldKind) -> str | None:
        cue = _CUES.get(kind.name)
        if cue is None:
            return None
        form = _NAME if kind.name == "contact" else r"[A-Z]\w+" if kind.name == "city" else None
        value = form or _value_form(kind) or _WHOLE
        found = re.search(cue.replace("{}", f"({value})"), " ".join(self.lines))
        return found.group(1) if found else None

    def _by_form(self, kind: FieldKind) -> str | None:
        """A line or a run that has the form of the value and carries no label."""
        form = _FORMS.get(kind.name)
        labelled = {value for _, value in self._labelled}
        if form is not None:
            whole = [line for line in self.lines if re.fullmatch(form, line)]
            runs = [] if kind.name == "company" else re.findall(form, self.text)
            free = [value for value in whole or runs if value not in labelled]
            return free[0] if free else None
        if kind.name == "date":
            whole = [line for line in self.lines if re.fullmatch(_DATE, line)]
            return whole[0] if whole else None
        return None

    def _by_place(self, kind: FieldKind) -> str | None:
        """Names at the ends of letters and cards, and the town below a street."""
        if kind.name == "recipient":
            found = re.search(r"^(?:Dear|Hello|Hi|To) (.+?)[,:.]?$", self.text, re.MULTILINE)
            return found.group(1) if found else None
        if kind.name == "sender":
            is_letter = re.search(r"^(?:Dear|Hello|Hi|To) .+[,:]$", self.text, re.MULTILINE)
            return self.lines[-1] if is_letter else None
        is_card = not self._labelled and len(self.lines) > 1
        if kind.name == "name":
            first_is_name = bool(self.lines) and re.fullmatch(_NAME, self.lines[0])
            return self.lines[0] if is_card and first_is_name else None
        if kind.name == "city":
            rest = [
                line for line in self.lines[1:]
                if re.fullmatch(r"[A-Z]\w+(?: [A-Z]\w+)?", line)
                and not re.fullmatch(_COMPANY, line)
            ]  # fmt: skip
            after_street = any(re.fullmatch(_FORMS["street"], line) for line in self.lines)
            return rest[0] if rest and (is_card or after_street) else None
        return None

    # Tables

    def _column_choices(self, kind: TableKind) -> list[list[str]]:
        """Columns the table may have: those of its header, or any."""
        for line in self.lines:
            rest = _after(line, kind.key_headers)
            columns = []
            for column in kind.columns:
                after = _after(rest, column.headers) if rest else None
                if after is not None:
                    columns.append(column.asked)
                    rest = after
            if columns and rest == "":
                return [columns]
        names = [column.asked for column in kind.columns]
        return [list(c) for size in (3, 2, 1) for c in combinations(names, size)]

    def _match_rows(self, kind: TableKind, columns: list[str], asked: str) -> dict[str, str]:
        forms = [f"({_COLUMN_FORMS.get(name, _WHOLE)})" for name in columns]
        pattern = re.compile(r"(?:\d+ ?x )?(\S.*?)[ .:|]*[ |]" + r"[ |]+".join(forms))
        rows: dict[str, str] = {}
        for line in self.lines:
            found = pattern.fullmatch(line)
            # A total is no row, nor is the line of numbers of a chart.
            is_pair = _label_at(line) is not None and re.search(f"[:=]|{_MONEY}", line) is not None
            if found and not is_pair and (kind.noun == "order" or re.search("[^\\W\\d]", found[1])):
                rows[found.group(1)] = found.group(2 + columns.index(asked))
        return rows or self._upright(kind)

    def _upright(self, kind: TableKind) -> dict[str, str]:
        """A chart of upright bars: a line of names above a line of numbers."""
        for names, numbers in zip(self._cells, self._cells[1:], strict=False):
            values = " ".join(numbers).split()
            if kind.plural == "cities" and all(re.fullmatch(_WHOLE, v) for v in values):
                keys = list(names) if len(names) == len(values) else " ".join(names).split()
                if len(keys) == len(values) > 1:
                    return dict(zip(keys, values, strict=True))
        return {}


def _after(text: str, headers: Sequence[str]) -> str | None:
    """What follows the longest header that the text begins with; None if it begins with none."""
    for header in sorted(headers, key=len, reverse=True):
        head, tail = text[: len(header)], text[len(header) :]
        distance = edit_distance(head.lower(), header.lower())
        if distance <= len(header) // 3 and tail[:1] in ("", " "):
            return tail.strip()
    return None


def _clean(text: str) -> str:
    """A line without what is left of the lines of a table and of dotted leaders."""
    text = re.sub(r"[.·…:]{3,}[.·…:0O\s]*", " ", text)
    text = re.sub(r"(?<=\d) ?([.,]) ?(?=\d\d\b)", r"\1", text)
    return " ".join(text.strip("|[] ").split())


def _value_form(kind: FieldKind) -> str | None:
    if kind.name in _FORMS:
        return None if kind.name in ("company", "street") else _FORMS[kind.name]
    if "date" in kind.name:
        return _DATE
    if "number" in kind.name or kind.name in ("reference", "booking code"):
        return _CODE
    if kind.name in ("seat", "gate", "room", "table", "quantity"):
        return r"[A-Z]?\d+[A-Z]?"
    return _MONEY if kind.name in _AMOUNTS else None


@functools.lru_cache(maxsize=4096)
def _label_at(text: str) -> tuple[frozenset[str], str] | None:
    """The longest label a text begins with: the fields it may stand for, and what follows it."""
    best: tuple[int, int] = (0, 0)
    names: set[str] = set()
    value = ""
    for label, label_names in _NAMES_OF_LABEL.items():
        head, tail = text[: len(label)].lower(), text[len(label) :]
        # Misread characters; short labels and those without a colon get less of an allowance.
        allowed = (len(label) - (tail[:1] not in (":", "="))) // 5
        if tail[:1].isalnum() or (head != label and not allowed):
            continue
        distance = 0 if head == label else edit_distance(head, label)
        rank = (len(label), -distance)
        if distance > allowed or rank < best:
            continue
        if rank > best:
            best, names = rank, set()
            value = re.sub(r"^[\s:=|.·_-]+", "", tail).strip("|[] ")
        names |= label_names
    return (frozenset(names), value) if names else None
