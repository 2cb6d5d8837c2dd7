"""Slide decks: titles with a few facts, one slide after another; or one whose value changes."""

from ..canvas import Canvas
from ..splits import fresh
from ..text import casing
from ..values import amount, code, number_format, percent, person
from ..words import words
from .film import MARGIN, Film
from .video import DrawnVideo

_LABELS = ("Total", "Price", "Code", "Name", "Rate", "Order", "Owner", "Cost", "Share", "Lead")


def draw_slides(film: Film) -> DrawnVideo:
    """Two to six slides, each shown for a while; the last may come back to none before it."""
    rng = film.rng
    count = rng.randint(2, min(6, film.num_frames // 2))
    titles = _titles(film, count)
    facts = [_facts(film, rng.randint(0, min(2, film.rows - 1))) for _ in titles]
    has_number = rng.random() < 0.4 and film.rows >= 3
    begins, frame = [], 0
    for idx, length in enumerate(film.lengths(count)):
        begins.append(frame)
        for _ in range(length):
            canvas = film.blank()
            _draw_slide(film, canvas, titles[idx], facts[idx])
            if has_number:
                film.write(canvas, f"{idx + 1}/{count}", film.rows - 1)
        frame += length
    film.ask("slide_count", str(count))
    film.ask("slide_first", titles[0])
    film.ask("slide_last", titles[-1])
    for idx, title in enumerate(titles):
        film.ask("slide_second", film.second(begins[idx]), title=title)
        if idx + 1 < count:
            film.ask("slide_after", titles[idx + 1], title=title)
        last = begins[idx + 1] if idx + 1 < count else film.num_frames
        moment = film.second(rng.randrange(begins[idx], last))
        film.ask("slide_title_at", title, second=moment)
        for label, value in facts[idx]:
            film.ask("slide_field", value, label=label.lower(), title=title)
    seconds = [film.times[begin] for begin in begins]
    return film.finish("slides", list(zip(titles, seconds, strict=True)))


def draw_change(film: Film) -> DrawnVideo:
    """One slide of which one value is replaced at some moment."""
    rng = film.rng
    title = _titles(film, 1)[0]
    facts = _facts(film, min(rng.randint(2, 3), film.rows - 1))
    changed = rng.randrange(len(facts))
    label, before = facts[changed]
    after = before
    while after == before or not film.fits(f"{label}: {after}"):
        after = _value(film, label)
    first = rng.randint(2, film.num_frames - 2)
    for frame in range(film.num_frames):
        shown = list(facts)
        if frame >= first:
            shown[changed] = (label, after)
        _draw_slide(film, film.blank(), title, shown)
    film.ask("slide_change", label, second=film.second(first))
    film.ask("slide_becomes", after, label=label.lower())
    for name, value in facts:
        if name != label:
            film.ask("slide_field", value, label=name.lower(), title=title)
    return film.finish("change", [(label, film.times[first])])


def _draw_slide(film: Film, canvas: Canvas, title: str, facts: list[tuple[str, str]]) -> None:
    film.write(canvas, title)
    bottom = MARGIN + film.leading
    canvas.fill(MARGIN, bottom - 1, film.width - MARGIN, bottom, film.ink)
    for row, (label, value) in enumerate(facts, start=1):
        film.write(canvas, f"{label}: {value}", row)


def _titles(film: Film, count: int) -> list[str]:
    """Different titles of one or two words."""
    rng, found = film.rng, dict[str, None]()
    while len(found) < count:
        words_of = [rng.choice(words("nouns", film.split)) for _ in range(rng.choice((1, 1, 2)))]
        title = casing(rng, " ".join(words_of))
        if film.fits(title):
            found[title] = None
    return list(found)


def _facts(film: Film, count: int) -> list[tuple[str, str]]:
    labels, facts = film.rng.sample(_LABELS, count), []
    for label in labels:
        value = _value(film, label)
        while not film.fits(f"{label}: {value}"):
            value = _value(film, label)
        facts.append((label, value))
    return facts


def _value(film: Film, label: str) -> str:
    rng, split = film.rng, film.split
    if label in ("Total", "Price", "Cost"):
        return amount(rng, split, number_format(rng), "")
    if label in ("Code", "Order"):
        return code(rng, split)
    if label in ("Rate", "Share"):
        return percent(rng)
    return fresh(lambda: person(rng, split).split()[0], split)
