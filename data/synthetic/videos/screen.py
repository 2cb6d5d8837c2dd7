"""Screen recordings: a form that is filled in letter by letter, buttons, a list that scrolls."""

from ..canvas import Canvas
from ..splits import fresh
from ..text import casing
from ..values import code, new_word
from ..words import words
from .film import MARGIN, Film
from .video import DrawnVideo

_FIELDS = ("Name", "City", "Item", "Code", "Note", "Team", "Room", "User")
_BUTTONS = ("Save", "Send", "Open", "Close", "Print", "Copy", "Undo", "Help", "Back", "Next")
_GRAY, _DARK = (225, 225, 225), (70, 70, 70)
_POINTER = (200, 30, 30)


def draw_typing(film: Film) -> DrawnVideo:
    """A form of one to three fields, filled in one after another in any order."""
    rng = film.rng
    rows = rng.randint(1, min(3, film.rows, film.num_frames // 3))
    labels = rng.sample(_FIELDS, rows)
    texts = [_short_text(film, label) for label in labels]
    filled = rng.randint(1, rows)
    order = rng.sample(range(rows), filled)
    begins: dict[int, int] = {}
    typed = dict.fromkeys(range(rows), "")
    frame = 0
    for idx, length in zip(order, film.lengths(filled, 3), strict=True):
        # An empty field first, the whole text at the end; in between some of its letters.
        begins[idx] = frame + 1
        for step in range(length):
            shown = -(-len(texts[idx]) * step // (length - 1))
            typed[idx] = texts[idx][:shown]
            canvas = film.blank()
            for row, label in enumerate(labels):
                _draw_field(film, canvas, row, label, typed[row], has_cursor=row == idx)
        frame += length
    film.ask("typed_count", str(filled))
    if filled > 1:
        film.ask("typed_order", labels[order[0]])
    elif rows == 1:
        film.ask("typed_all", texts[order[0]])
    for idx in order:
        film.ask("typed_in", texts[idx], label=labels[idx])
        film.ask("typed_second", film.second(begins[idx]), label=labels[idx])
    events = [(labels[idx], film.times[begins[idx]]) for idx in order]
    return film.finish("typing", events)


def draw_buttons(film: Film) -> DrawnVideo:
    """A pointer that moves to one of several buttons and presses it, which turns it dark."""
    rng = film.rng
    count = rng.randint(2, min(3, film.rows))
    labels = [label for label in rng.sample(_BUTTONS, count) if film.fits(label, film.room - 20)]
    chosen = rng.randrange(len(labels))
    pressed = rng.randint(2, film.num_frames - 2)
    start = (rng.randint(film.width // 2, film.width - 12), rng.randint(4, film.height - 12))
    goal_y = MARGIN + chosen * film.leading + film.leading // 2
    goal = (MARGIN + film.glyphs.width(labels[chosen]) + 8, goal_y)
    for frame in range(film.num_frames):
        canvas = film.blank()
        for row, label in enumerate(labels):
            is_dark = row == chosen and frame >= pressed
            top = MARGIN + row * film.leading
            right = MARGIN + film.glyphs.width(label) + 16
            canvas.fill(MARGIN - 4, top, right, top + film.leading - 2, _DARK if is_dark else _GRAY)
            film.write(canvas, label, row, colour=(255, 255, 255) if is_dark else (0, 0, 0))
        way = min(frame, pressed) / pressed
        x, y = (round(a + (b - a) * way) for a, b in zip(start, goal, strict=True))
        _draw_pointer(canvas, x, y)
    film.ask("clicked", labels[chosen])
    film.ask("clicked_second", film.second(pressed), label=labels[chosen])
    return film.finish("buttons", [(labels[chosen], film.times[pressed])])


def draw_scrolling(film: Film) -> DrawnVideo:
    """A list longer than the frame that scrolls up or down, line by line."""
    rng = film.rng
    visible = max(1, film.rows)
    extra = rng.randint(1, max(1, min(5, film.num_frames // 2 - 1)))
    items = _items(film, visible + extra)
    goes_up = rng.random() < 0.6  # the list moves up: later items come into view
    tops = list(range(extra + 1)) if goes_up else list(range(extra, -1, -1))
    first_shown: list[tuple[str, float]] = []
    frame = 0
    for top, length in zip(tops, film.lengths(len(tops)), strict=True):
        first_shown.append((items[top], film.times[frame]))
        for _ in range(length):
            canvas = film.blank()
            for row in range(visible):
                film.write(canvas, items[top + row], row)
        moment = film.second(rng.randrange(frame, frame + length))
        film.ask("list_top", items[top], second=moment)
        frame += length
    film.ask("list_way", "up" if goes_up else "down")
    film.ask("list_count", str(len(items)))
    film.ask("list_first", items[tops[0]])
    film.ask("list_last", items[tops[-1] + visible - 1])
    return film.finish("scrolling", first_shown)


def _draw_field(
    film: Film, canvas: Canvas, row: int, label: str, text: str, *, has_cursor: bool
) -> None:
    film.write(canvas, f"{label}:", row)
    left = MARGIN + film.glyphs.width(f"{label}: ")
    if text.strip():
        film.write(canvas, text, row, left)
    if has_cursor:
        x = left + film.glyphs.width(text) + 1
        top = MARGIN + row * film.leading
        canvas.fill(x, top, x + 2, top + film.leading - 2, film.ink)


def _draw_pointer(canvas: Canvas, x: int, y: int) -> None:
    """An arrow head, two pixels wider in every row."""
    for row in range(8):
        canvas.fill(x, y + row, x + 1 + row, y + row + 1, _POINTER)


def _short_text(film: Film, label: str) -> str:
    rng, split = film.rng, film.split
    room = film.room - film.glyphs.width(f"{label}: ") - 4
    while True:
        if label == "Code":
            text = code(rng, split)
        elif label == "City":
            text = rng.choice(words("cities", split))
        elif label == "Item":
            text = rng.choice(words("items", split))
        elif label in ("Name", "User"):
            text = rng.choice(words("first_names", split))
        else:
            text = casing(rng, fresh(lambda: new_word(rng, split), split))
        if len(text) > 2 and film.fits(text, room):
            return text


def _items(film: Film, count: int) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < count:
        item = film.rng.choice(words("items", film.split))
        if film.fits(item):
            found[item] = None
    return list(found)
