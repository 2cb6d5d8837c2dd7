"""Bar charts that print their numbers."""

from .blocks import add_title
from .canvas import Colour
from .draft import Draft
from .sheet import Cell, Row, Shape
from .tables import make_table

_BARS: tuple[Colour, ...] = (
    (70, 130, 180), (200, 80, 60), (80, 160, 90), (220, 160, 40), (120, 90, 170), (90, 90, 90),
    (40, 150, 160), (230, 120, 150),
)  # fmt: skip
_TITLES = ("Sales by {0}", "{1} and sales", "Sales", "Sales per {0}", "Results by {0}")


def draw_chart(draft: Draft, room: int, variant: str) -> None:
    """A bar for each row of a small table.

    Variants: "bars" (label, bar, number to the right), "tight" (number right after the bar),
    "columns" (upright bars, numbers and labels in rows below).
    """
    titled = room >= 4
    count = max(2, min(room - titled, 8))
    if variant == "columns":
        count = draft.content.randint(2, 4 if room < 8 else 6)
        titled = room >= 3
    table = make_table(draft, "sales", count, 1)
    numbers, texts = table.columns[0].numbers, table.columns[0].texts
    if titled:
        title = draft.content.choice(_TITLES).format(table.noun, table.plural.capitalize())
        add_title(draft, title, draft.look.choice(("left", "center")))
    style, largest = draft.style, max(numbers)
    colours = [draft.look.choice(_BARS)] * count
    if draft.look.random() < 0.4:
        colours = [draft.look.choice(_BARS) for _ in range(count)]
    height = style.glyphs.ascent + style.glyphs.descent
    if variant == "columns":
        _add_columns(draft, table.keys, texts, numbers, colours)
    else:
        start = max(style.width(key) for key in table.keys) + 8
        full = draft.look.randint(60, 140)
        for idx, key in enumerate(table.keys):
            end = start + max(2, full * numbers[idx] // largest)
            place = end + 5 if variant == "tight" else start + full + 6
            draft.add(
                style.cell(key),
                style.cell(texts[idx], offset=place),
                gap=2 if idx else draft.gap() * bool(draft.rows),
                shapes=[Shape(start, 2, end, height - 2, colours[idx])],
            )
    draft.table = table


def _add_columns(
    draft: Draft, keys: tuple[str, ...], texts: tuple[str, ...], numbers: tuple[int, ...],
    colours: list[Colour],
) -> None:  # fmt: skip
    style, largest = draft.style, max(numbers)
    tall = draft.look.randint(40, 80)
    step = max(style.width(text) for text in (*keys, *texts)) + draft.look.randint(8, 16)
    bar = min(step - 6, draft.look.randint(12, 40))
    strip = Row(height=tall, gap=4 if draft.rows else 0)
    for idx, number in enumerate(numbers):
        middle = idx * step + step // 2
        left = middle - bar // 2
        top = tall - max(2, tall * number // largest)
        strip.shapes.append(Shape(left, top, left + bar, tall, colours[idx]))
    draft.rows.append(strip)

    def centred(row: tuple[str, ...]) -> list[Cell]:
        return [
            style.cell(text, offset=idx * step + (step - style.width(text)) // 2)
            for idx, text in enumerate(row)
        ]

    draft.add(*centred(keys), rule_above=True, gap=1)
    draft.add(*centred(texts))
