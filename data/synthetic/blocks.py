"""Parts that documents are made of: titles, label and value pairs, tables, wrapped text."""

from .canvas import Colour
from .draft import Column, Draft, Field, Table
from .sheet import Row, Shape

ARRANGEMENTS = (
    "inline", "columns", "justified", "stacked", "underlined", "split", "dotted", "boxed",
)  # fmt: skip
_SHADES: tuple[Colour, ...] = ((225, 225, 225), (210, 225, 245), (245, 225, 200), (215, 240, 215))


def add_title(draft: Draft, text: str, anchor: str = "left", rule: bool = False) -> None:
    row = draft.add(draft.style.title(text, anchor), rule_below=rule)
    if rule:
        row.height = draft.style.title_size + 5


def add_pairs(draft: Draft, fields: list[Field], arrangement: str) -> None:
    """Prints label and value of each field in one of the `ARRANGEMENTS`."""
    style = draft.style
    if not fields:
        return
    first_gap = draft.gap() if draft.rows else 0
    widest = max(style.width(field.label) for field in fields)
    value_x = widest + draft.look.randint(8, 24)
    if arrangement == "split":
        _add_split(draft, fields, first_gap)
        return
    suffix = ":" if draft.look.random() < 0.5 else ""
    for idx, field in enumerate(fields):
        gap = first_gap if idx == 0 else 0
        if arrangement == "inline":
            # One cell, or two that touch, so that a coloured label keeps the same spacing.
            draft.add(style.cell(f"{field.label}{style.separator}{field.value}"), gap=gap)
        elif arrangement == "stacked":
            draft.add(style.cell(field.label + suffix, label=True), gap=gap)
            draft.add(style.cell(field.value))
        elif arrangement in ("justified", "dotted"):
            draft.add(
                style.cell(field.label + suffix, label=True),
                style.cell(field.value, "right"),
                gap=gap, leader=arrangement == "dotted",
            )  # fmt: skip
        else:  # "columns", "underlined" and "boxed" differ in their lines only
            row = draft.add(
                style.cell(field.label + suffix, label=True, offset=2),
                style.cell(field.value, offset=value_x + 6),
                gap=gap + (2 if arrangement != "columns" else 0),
            )  # fmt: skip
            if arrangement == "underlined":
                row.rule_below, row.height = True, style.glyphs.ascent + style.glyphs.descent + 3
            if arrangement == "boxed":
                row.box, row.height = True, style.glyphs.ascent + style.glyphs.descent + 3
                row.shapes.append(Shape(value_x, 0, value_x + 1, None, style.rule_colour))


def _add_split(draft: Draft, fields: list[Field], gap: int) -> None:
    """Two pairs side by side on each row."""
    style = draft.style
    texts = [f"{field.label}: {field.value}" for field in fields]
    half = max(style.width(text) for text in texts[::2]) + draft.look.randint(14, 30)
    for idx in range(0, len(texts), 2):
        cells = [style.cell(texts[idx])]
        if idx + 1 < len(texts):
            cells.append(style.cell(texts[idx + 1], offset=half))
        draft.add(*cells, gap=gap if idx == 0 else 0)


def add_table(draft: Draft, table: Table, look: str, header: bool = True) -> None:
    """Prints a table; `look` is "plain", "ruled", "shaded", "lined" or "grid"."""
    style, space = draft.style, draft.look.randint(10, 22)
    keys = Column(table.key_header, "", table.keys, (), (), False)
    columns = (keys, *table.columns)
    grid_lines, offsets, widths, x = [], [], [], 2
    for column in columns:
        texts = (*column.texts, column.header) if header else column.texts
        widest = max(style.width(text) for text in texts)
        offsets.append(x)
        widths.append(widest)
        x += widest + space
        grid_lines.append(x - space // 2)
    height = style.glyphs.ascent + style.glyphs.descent
    shade = draft.look.choice(_SHADES)

    def add_row(texts: list[str], is_header: bool, gap: int) -> Row:
        cells = []
        for column, text, left, width in zip(columns, texts, offsets, widths, strict=True):
            indent = width - style.width(text) if column.right else 0
            cells.append(style.cell(text, offset=left + indent, label=is_header))
        row = draft.add(*cells, gap=gap)
        if look == "grid":
            row.box, row.height = True, height + 3
            row.shapes += [Shape(x, 0, x + 1, None, style.rule_colour) for x in grid_lines[:-1]]
        elif look == "lined" or (look == "ruled" and is_header):
            row.rule_below, row.height = True, height + 3
        elif look == "shaded" and is_header:
            row.fill = shade
        return row

    gap = draft.gap() if draft.rows else 0
    if header:
        add_row([column.header for column in columns], True, gap)
        gap = 0
    for idx in range(len(table.keys)):
        add_row([column.texts[idx] for column in columns], False, gap)
        gap = 0
    draft.table = table


def add_paragraph(draft: Draft, pieces: list[str], longest: int, indent: int = 0) -> int:
    """Prints pieces of text wrapped to about `longest` characters; no piece is ever broken.

    Returns:
        The number of rows used.
    """
    style, line, rows = draft.style, "", 0
    gap = draft.gap() if draft.rows else 0
    for piece in pieces:
        if line and len(line) + 1 + len(piece) > longest:
            draft.add(style.cell(line, offset=indent if rows == 0 else 0), gap=gap)
            line, gap, rows = "", 0, rows + 1
        line = f"{line} {piece}" if line else piece
    draft.add(style.cell(line, offset=indent if rows == 0 else 0), gap=gap)
    return rows + 1
