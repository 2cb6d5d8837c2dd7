"""Letters and notes: sentences with facts in them."""

from .blocks import add_pairs, add_paragraph, add_title
from .draft import Draft, Field
from .values import sentence

# Sentences with the fields they state, in words and "{0}"; the second tuple is held out.
_SENTENCES: tuple[tuple[tuple[str, tuple[str, ...]], ...], ...] = (
    (
        ("Please pay {0} by {1}.", ("amount due", "due date")),
        ("Your order {0} was sent on {1}.", ("order number", "delivery date")),
        ("We meet at {0} in room {1}.", ("time", "room")),
        ("Please call {0} at {1}.", ("contact", "phone")),
        ("The goods arrive on {0}.", ("delivery date",)),
        ("Your booking code is {0}.", ("booking code",)),
        ("The total is {0}.", ("total",)),
        ("Write to {0} for help.", ("email",)),
        ("Your policy {0} ends on {1}.", ("policy number", "end date")),
        ("A deposit of {0} was received.", ("deposit",)),
        ("The course starts on {0} at {1}.", ("start date", "time")),
        ("Your seat is {0}, gate {1}.", ("seat", "gate")),
        ("Track it with {0}.", ("tracking number",)),
        ("The parcel weighs {0}.", ("weight",)),
        ("The new rate is {0}.", ("rate",)),
        ("We moved to {0}, {1}.", ("street", "city")),
        ("Your balance is {0}.", ("balance",)),
        ("Quote reference {0}.", ("reference",)),
    ),
    (
        ("We expect {0} before {1}.", ("amount due", "due date")),
        ("Parcel {0} left us on {1}.", ("tracking number", "delivery date")),
        ("Ask for {0}, phone {1}.", ("contact", "phone")),
        ("Order {0} comes to {1}.", ("order number", "total")),
        ("See you at {0} in {1}.", ("time", "city")),
        ("It begins on {0}.", ("start date",)),
        ("Booking {0} is confirmed.", ("booking code",)),
        ("Room {0} is ready.", ("room",)),
        ("Use reference {0}.", ("reference",)),
    ),
)
_GREETINGS = ("Dear {0},", "Hello {0},", "Hi {0},", "To {0}:")
_CLOSINGS = ("Kind regards,", "Yours sincerely,", "Best wishes,", "Thank you,", "Regards,")


def _facts(draft: Draft) -> tuple[list[str], list[Field]] | None:
    """One sentence as unbreakable pieces, and its fields; None if its groups are taken."""
    sentences = _SENTENCES[draft.split == "heldout"]
    text, names = draft.content.choice(sentences)
    fields = draft.make_fields(names, len(names))
    if [field.kind.name for field in fields] != list(names):
        # Out of order, or a group already in use: put back what was entered.
        by_name = {field.kind.name: field for field in fields}
        if set(by_name) != set(names):
            for field in fields:
                draft.fields.remove(field)
                del draft.slots[field.slot]
            return None
        fields = [by_name[name] for name in names]
    pieces = []
    for word in text.split():
        for idx, field in enumerate(fields):
            word = word.replace(f"{{{idx}}}", field.value)
        pieces.append(word)
    return pieces, fields


def _body(draft: Draft, rows: int, longest: int) -> None:
    """Fills `rows` rows with sentences, at least one of them with facts."""
    pieces: list[str] = []
    length, facts, tries = 0, 0, 0
    target = rows * longest
    while tries < 40:
        tries += 1
        found = _facts(draft) if facts == 0 or draft.content.random() < 0.5 else None
        if found is not None:
            more = found[0]
        else:
            more = sentence(draft.content, draft.split, draft.content.randint(2, 6)).split()
        extra = sum(len(piece) + 1 for piece in more)
        if length + extra > target * 0.85 and pieces:
            if found is not None:
                for field in found[1]:
                    draft.fields.remove(field)
                    del draft.slots[field.slot]
            break
        facts += found is not None
        pieces += more
        length += extra
    add_paragraph(draft, pieces, longest, draft.style.size if draft.look.random() < 0.1 else 0)


def draw_note(draft: Draft, room: int, variant: str) -> None:
    """A few lines of text and nothing else."""
    _body(draft, room, draft.look.randint(20, 32))


def draw_letter(draft: Draft, room: int, variant: str) -> None:
    """Date, greeting, text, closing, name.

    Variants say where date and signature stand: "left", "center" or "right".
    """
    style = draft.style
    left = room - 3
    if room >= 8:
        add_title(draft, draft.make_field("company").value)
        left -= 1
    date = draft.make_field("date")
    draft.add(style.cell(date.value, variant), gap=draft.gap() if draft.rows else 0)
    addressee = draft.make_field("recipient")
    if room >= 10 and draft.content.random() < 0.6:
        fields = draft.make_fields(("reference", "customer number", "order number"), 1)
        add_pairs(draft, fields, "inline")
        left -= len(fields)
    greeting = draft.content.choice(_GREETINGS).format(addressee.value)
    draft.add(style.cell(greeting), gap=draft.gap())
    if room >= 6:
        left -= 1
    longest = draft.look.randint(24, 34) if room < 8 else draft.look.randint(34, 48)
    _body(draft, max(1, left), longest)
    if room >= 6:
        draft.add(style.cell(draft.content.choice(_CLOSINGS), variant), gap=draft.gap())
    draft.add(style.cell(draft.make_field("sender").value, variant), gap=draft.gap())
