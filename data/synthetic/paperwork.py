"""Receipts, invoices, forms, cards and bare pairs: documents made of fields and lists of goods."""

from dataclasses import replace

from . import values
from .blocks import add_pairs, add_table, add_title
from .draft import Draft, Table
from .tables import make_table

_ANY = (
    "invoice number", "order number", "receipt number", "customer number", "account number",
    "reference", "tracking number", "member number", "booking code", "policy number", "tax number",
    "serial number", "date", "due date", "delivery date", "birth date", "start date", "end date",
    "time", "total", "amount due", "balance", "subtotal", "tax", "discount", "shipping", "deposit",
    "name", "customer", "contact", "manager", "company", "phone", "email", "street", "city",
    "postcode", "table", "room", "seat", "gate", "quantity", "weight", "rate", "status",
)  # fmt: skip
_RECEIPT = ("date", "time", "receipt number", "cashier", "table", "phone", "tax number")
_PAYMENT = ("cash", "tip", "discount", "deposit")
_INVOICE = (
    "date", "due date", "customer", "customer number", "order number", "reference", "contact",
    "delivery date", "tracking number", "tax number", "email", "phone", "account number",
)  # fmt: skip
_FORMS = {
    "Registration": ("name", "birth date", "street", "city", "postcode", "phone", "email",
                     "member number", "date", "company"),
    "Booking": ("name", "booking code", "date", "time", "room", "seat", "gate", "phone", "city",
                "amount due", "deposit", "status"),
    "Delivery note": ("order number", "delivery date", "customer", "street", "city", "weight",
                      "quantity", "tracking number", "contact", "status"),
    "Insurance": ("policy number", "name", "birth date", "start date", "end date", "rate",
                  "amount due", "phone", "email"),
    "Account": ("account number", "name", "balance", "date", "rate", "status", "email", "phone",
                "manager"),
    "Repair order": ("serial number", "customer", "phone", "start date", "end date", "reference",
                     "amount due", "deposit", "status", "manager"),
}  # fmt: skip
_RECEIPT_ENDS = ("Thank you!", "Thanks for your visit", "Please come again", "Have a nice day")


def draw_pairs(draft: Draft, room: int, variant: str) -> None:
    """Fields alone."""
    count = room
    if variant == "stacked":
        count = room // 2
    elif variant == "split":
        count = 2 * room
    add_pairs(draft, draft.make_fields(_ANY, max(1, count)), variant)


def draw_card(draft: Draft, room: int, variant: str) -> None:
    """A business card or an address label: fields without labels."""
    order = ("company", "street", "postcode", "city", "phone", "email")
    fields = draft.make_fields(order, room - 1)
    fields.sort(key=lambda field: order.index(field.kind.name))
    name = draft.make_field("name")
    for idx, field in enumerate([name, *fields][:room]):
        if idx == 0:
            add_title(draft, field.value, variant)
        else:
            draft.add(draft.style.cell(field.value, variant))


def draw_form(draft: Draft, room: int, variant: str) -> None:
    """A titled form."""
    title = draft.content.choice(tuple(_FORMS))
    add_title(draft, _cased(draft, title), draft.look.choice(("left", "center")),
              draft.look.random() < 0.3)  # fmt: skip
    rows = room - 1
    count = {"stacked": rows // 2, "split": 2 * rows}.get(variant, rows)
    fields = draft.make_fields(_FORMS[title], max(1, count))
    if len(fields) < count and variant != "split":
        fields += draft.make_fields(_ANY, count - len(fields))
    add_pairs(draft, fields, variant)


def draw_receipt(draft: Draft, room: int, variant: str) -> None:
    """Goods with prices and their total.

    Variants: "plain" (item, price), "times" (2 x item, price), "columns" (a small table),
    "dotted" (leaders between item and price).
    """
    rng, style = draft.content, draft.style
    anchor = draft.look.choice(("left", "center"))
    company = draft.make_field("company")
    add_title(draft, company.value, anchor)
    left = room - 2
    if room >= 8:
        for name in ("street", "city")[: rng.randint(0, 2)]:
            draft.add(style.cell(draft.make_field(name).value, anchor))
            left -= 1
    extras = rng.randint(1, 4) if room >= 8 else int(room >= 5 and rng.random() < 0.4)
    chosen = draft.make_fields(_RECEIPT, extras)
    payments = rng.randint(0, 2) if room >= 8 else 0
    ending = room >= 8 and rng.random() < 0.5
    add_pairs(draft, chosen, draft.look.choice(("inline", "justified")))
    left -= len(chosen) + payments + ending + (variant == "columns")
    table = make_table(draft, "prices", max(1, left), 1)
    table = _add_goods(draft, table, variant)
    cents = sum(table.columns[-1].numbers)
    total = draft.make_field("total", draft.money(cents))
    rule = len(draft.rows)
    add_pairs(draft, [total], "justified" if variant != "columns" else "columns")
    draft.rows[rule].rule_above = draft.look.random() < 0.5
    draft.rows[rule].gap = max(2, draft.rows[rule].gap)
    if payments:
        add_pairs(draft, draft.make_fields(_PAYMENT, payments), "justified")
    if ending:
        draft.add(style.cell(rng.choice(_RECEIPT_ENDS), anchor), gap=draft.gap())


def _add_goods(draft: Draft, table: Table, variant: str) -> Table:
    """Prints the goods of a receipt; the table as asked about is returned."""
    style = draft.style
    table = _with_total_on_side(draft, table)
    if variant == "columns":
        add_table(draft, table, "ruled")
        return table
    for idx, key in enumerate(table.keys):
        count = f"{draft.content.randint(1, 9)} x " if variant == "times" else ""
        draft.add(
            style.cell(count + key),
            style.cell(table.columns[-1].texts[idx], "right"),
            gap=draft.gap() if idx == 0 else 0,
            leader=variant == "dotted",
        )
    draft.table = table
    return table


def _with_total_on_side(draft: Draft, table: Table) -> Table:
    """Redraws the last price until the total may be shown in this split too."""
    prices = table.columns[-1]
    for _ in range(400):
        if draft.money_on_side(sum(prices.numbers)):
            break
        cents = values.random_cents(draft.content, 5)
        if not draft.money_on_side(cents):
            continue
        slot = prices.slots[-1]
        text = draft.value(slot, draft.slots[slot].remake, draft.money(cents))
        prices = replace(
            prices, texts=(*prices.texts[:-1], text), numbers=(*prices.numbers[:-1], cents)
        )
    return replace(table, columns=(*table.columns[:-1], prices))


def draw_invoice(draft: Draft, room: int, variant: str) -> None:
    """A title, a number, a few fields, a total; a whole page also lists the goods."""
    rng, style = draft.content, draft.style
    word = _cased(draft, "Invoice")
    anchor = draft.look.choice(("left", "left", "center", "right"))
    company = draft.make_field("company") if room >= 5 else None
    if company is not None and draft.look.random() < 0.5:
        add_title(draft, company.value, anchor)
        draft.add(style.cell(word, anchor), gap=draft.gap())
    else:
        add_title(draft, word, anchor)
        if company is not None:
            draft.add(style.cell(company.value, anchor))
    left = room - len(draft.rows)
    if room >= 10:
        for name in ("street", "city"):
            draft.add(style.cell(draft.make_field(name).value, anchor))
        left -= 2
    number = draft.make_field("invoice number")
    if room < 10:
        fields = [number, *draft.make_fields(_INVOICE, max(0, left - 2))]
        fields.append(draft.make_field(rng.choice(("total", "amount due"))))
        add_pairs(draft, fields[:1] + fields[-1:] if left < 3 else fields, variant)
        return
    count = rng.randint(2, 5)
    fields = [number, *draft.make_fields(_INVOICE, count)]
    add_pairs(draft, fields, variant)
    left -= len(fields) if variant != "split" else (len(fields) + 1) // 2
    money = rng.randint(0, 2)
    rows = max(2, left - 2 - money)
    table = make_table(draft, "goods", rows, rng.randint(1, 2))
    add_table(draft, table, draft.look.choice(("plain", "ruled", "shaded", "lined")))
    amounts = draft.make_fields(("subtotal", "tax", "shipping", "discount"), money)
    amounts.append(draft.make_field(rng.choice(("total", "amount due"))))
    add_pairs(draft, amounts, draft.look.choice(("justified", "inline", "columns")))


def _cased(draft: Draft, text: str) -> str:
    return text.upper() if draft.look.random() < 0.4 else text
