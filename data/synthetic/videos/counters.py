"""Numbers that count up or down, and messages that run by."""

from ..canvas import Canvas
from ..splits import on_side
from ..text import casing
from ..words import words
from .film import MARGIN, Film
from .video import DrawnVideo

_LABELS = ("Count", "Step", "Level", "Score", "Lap", "Page", "Task", "Batch")


def draw_counter(film: Film) -> DrawnVideo:
    """A number that changes every few frames by the same amount."""
    rng = film.rng
    count = rng.randint(2, min(10, film.num_frames))
    step = rng.choice((1, 1, 1, 2, 5, 10, 25)) * rng.choice((1, 1, -1))
    first = _first(film, step * (count - 1))
    numbers = [first + step * idx for idx in range(count)]
    label = rng.choice(_LABELS) + ": " if rng.random() < 0.6 else ""
    row = rng.randint(0, film.rows - 1)
    x = rng.randint(MARGIN, max(MARGIN, film.width - film.glyphs.width(f"{label}88888") - MARGIN))
    begins, frame = [], 0
    for number, length in zip(numbers, film.lengths(count), strict=True):
        begins.append(frame)
        for _ in range(length):
            film.write(film.blank(), f"{label}{number}", row, x)
        film.ask(
            "counter_at", str(number), second=film.second(rng.randrange(frame, frame + length))
        )
        frame += length
    film.ask("counter_last", str(numbers[-1]))
    film.ask("counter_way", "up" if step > 0 else "down")
    film.ask("counter_count", str(count))
    for number, begin in list(zip(numbers, begins, strict=True))[1:]:
        film.ask("counter_second", film.second(begin), number=str(number))
    return film.finish(
        "counter", [(str(n), film.times[b]) for n, b in zip(numbers, begins, strict=True)]
    )


def draw_ticker(film: Film) -> DrawnVideo:
    """Messages of one or two words that run from right to left through one row."""
    rng = film.rng
    messages = _messages(film, rng.randint(2, 3))
    row = rng.randint(0, film.rows - 1)
    gap = rng.randint(16, 32)
    placed = [film.glyphs.place(text) for text in messages]
    starts, at = [], 0
    for each in placed:
        starts.append(at)
        at += max(each.advance, each.right) + gap
    length = at - gap
    baseline = MARGIN + row * film.leading + film.glyphs.ascent
    # The strip is drawn once and cut: at the start it is about to come in, at the end it is out.
    wide = Canvas(film.height, length + 2 * film.width, film.paper)
    for each, start in zip(placed, starts, strict=True):
        x = film.width + start - min(0, each.left)
        wide.draw(each, film.glyphs, x, baseline, film.ink)
    begin, end = film.width // 4, length + film.width // 3
    first_seen = [-1] * len(messages)
    for frame in range(film.num_frames):
        offset = begin + (end - begin) * frame // (film.num_frames - 1)
        film.blank().image[...] = wide.image[:, offset : offset + film.width]
        for idx, start in enumerate(starts):
            if first_seen[idx] < 0 and start + film.width < offset + film.width:
                first_seen[idx] = frame
    film.note(messages)
    film.ask("ticker_count", str(len(messages)))
    film.ask("ticker_first", messages[0])
    film.ask("ticker_last", messages[-1])
    for before, after in zip(messages, messages[1:], strict=False):
        film.ask("ticker_after", after, message=before)
    seen = [film.times[max(0, frame)] for frame in first_seen]
    return film.finish("ticker", list(zip(messages, seen, strict=True)))


def _first(film: Film, travel: int) -> int:
    """A number to begin with, from which the last is not below 0."""
    rng = film.rng
    while True:
        first = rng.randrange(10 ** rng.randint(1, 4)) + max(0, -travel)
        if first + travel >= 0 and on_side(f"{first} {travel}", film.split):
            return first


def _messages(film: Film, count: int) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < count:
        parts = [film.rng.choice(words(name, film.split)) for name in ("verbs", "nouns")]
        text = casing(film.rng, " ".join(parts[film.rng.randint(0, 1) :]))
        if film.fits(text, film.room * 2 // 3):
            found[text] = None
    return list(found)
