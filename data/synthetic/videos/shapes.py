"""Coloured shapes that appear, move straight on and change their colour."""

from collections.abc import Callable

import numpy as np

from ..canvas import Canvas, Colour
from .film import Film
from .video import DrawnVideo

_COLOURS: dict[str, Colour] = {
    "red": (205, 30, 30),
    "blue": (30, 60, 200),
    "green": (20, 140, 50),
    "orange": (235, 140, 20),
    "purple": (130, 40, 160),
    "black": (15, 15, 15),
}
_WAYS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
# Held out of training: these pairs, so that a model must have understood both words.
_HELDOUT = {("red", "ring"), ("blue", "square"), ("green", "circle"), ("orange", "bar")}


def _disc(side: int) -> np.ndarray:
    offset = np.arange(side) * 2 + 1 - side
    return offset[:, None] ** 2 + offset[None] ** 2 <= side * side


def _ring(side: int) -> np.ndarray:
    inner = np.zeros((side, side), dtype=bool)
    width = side // 4
    inner[width : side - width, width : side - width] = _disc(side - 2 * width)
    return _disc(side) & ~inner


def _triangle(side: int) -> np.ndarray:
    rows, columns = np.arange(side)[:, None], np.arange(side)[None]
    return np.abs(2 * columns + 1 - side) <= rows + 1


def _bar(side: int) -> np.ndarray:
    return np.ones((max(3, side // 3), side), dtype=bool)


_SHAPES: dict[str, Callable[[int], np.ndarray]] = {
    "circle": _disc,
    "square": lambda side: np.ones((side, side), dtype=bool),
    "triangle": _triangle,
    "ring": _ring,
    "bar": _bar,
}


def draw_shapes(film: Film) -> DrawnVideo:
    """One to three shapes, each in a lane of its own so that none covers another."""
    rng = film.rng
    count = rng.randint(1, 3)
    names = _names(film, count)
    is_flat = rng.random() < 0.5  # lanes side by side, or one above another
    lane = (film.height if is_flat else film.width) // count
    begins = [0, *sorted(rng.sample(range(1, film.num_frames - 2), count - 1))]
    changed = rng.randrange(count) if rng.random() < 0.5 else None
    moment = rng.randint(begins[changed] + 1, film.num_frames - 1) if changed is not None else 0
    new = ""
    if changed is not None:
        used = [colour for colour, _ in names]
        new = rng.choice([colour for colour in _COLOURS if colour not in used])
    paths = []
    for idx, (_, shape) in enumerate(names):
        mask = _SHAPES[shape](rng.randint(min(16, lane - 8), min(36, lane - 8)))
        way = rng.choice(("left", "right") if is_flat else ("up", "down"))
        paths.append((mask, way, _path(film, mask, way, idx * lane, lane)))
    for frame in range(film.num_frames):
        canvas = film.blank()
        for idx, (mask, _, path) in enumerate(paths):
            if frame < begins[idx]:
                continue
            colour = names[idx][0] if idx != changed or frame < moment else new
            left, top = path[frame]
            _paint(canvas, mask, left, top, _COLOURS[colour])
    called = [" ".join(name) for name in names]
    film.ask("shape_count", str(count))
    for idx, (_, way, _) in enumerate(paths):
        film.ask("shape_way", way, shape=called[idx])
        if idx:
            film.ask("shape_second", film.second(begins[idx]), shape=called[idx])
    if count > 1:
        film.ask("shape_order", called[0])
        film.ask("shape_last", called[-1])
    if changed is not None:
        film.ask("shape_colour", new, shape=called[changed])
    events = [(called[idx], film.times[begins[idx]]) for idx in range(count)]
    return film.finish("shapes", events)


def _names(film: Film, count: int) -> list[tuple[str, str]]:
    """Colours and shapes, each colour and each shape once."""
    pairs = [(c, s) for c in _COLOURS for s in _SHAPES]
    is_heldout = film.split == "heldout"
    # Of held-out videos the first pair is one that training never shows.
    found: list[tuple[str, str]] = []
    if is_heldout:
        found.append(film.rng.choice(sorted(_HELDOUT)))
    film.rng.shuffle(pairs)
    for pair in pairs:
        fits = all(pair[0] != c and pair[1] != s for c, s in found)
        if len(found) < count and fits and (is_heldout or pair not in _HELDOUT):
            found.append(pair)
    film.rng.shuffle(found)
    return found


def _path(
    film: Film, mask: np.ndarray, way: str, lane_start: int, lane: int
) -> list[tuple[int, int]]:
    """Left and top of the shape in every frame, at a steady pace."""
    height, width = mask.shape
    dx, dy = _WAYS[way]
    along = film.width - width if dx else film.height - height
    across = lane_start + (lane - (height if dx else width)) // 2
    last = film.num_frames - 1
    travel = film.rng.randint(min(along, 2 * last, along // 2 + 1), along)
    begin = film.rng.randint(0, along - travel)
    steps = [begin + travel * frame // last for frame in range(last + 1)]
    if dx + dy < 0:
        steps.reverse()
    return [(step, across) if dx else (across, step) for step in steps]


def _paint(canvas: Canvas, mask: np.ndarray, left: int, top: int, colour: Colour) -> None:
    height, width = mask.shape
    canvas.image[top : top + height, left : left + width][mask] = colour
