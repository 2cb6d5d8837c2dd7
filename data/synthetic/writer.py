"""From a seed to a document of fields, tables and sentences, and the same with a value replaced."""

import random
from dataclasses import dataclass

from ...errors import ConfigError
from .ask import Asker
from .config import GeneratorConfig
from .document import QA, Document
from .draft import Draft
from .noise import add_noise
from .sheet import MARGIN, block_width, compose
from .splits import on_side
from .templates import ROOM, templates_for
from .values import similar

_TRIES = 200


def source(seed: int, config: GeneratorConfig, purpose: str) -> random.Random:
    """A random source of its own for each purpose, so that one does not disturb another."""
    # A string seed is hashed whole, so that neighbouring seeds are unrelated.
    return random.Random(f"latentvlm {config.split} {config.level} {purpose} {seed}")


@dataclass(frozen=True)
class _Written:
    """A document, the draft it was drawn from, and the width of its text block."""

    document: Document
    draft: Draft
    block: int


def _build(
    seed: int, config: GeneratorConfig, attempt: int, overrides: dict[str, str]
) -> tuple[Draft, str]:
    """Writes the rows of one attempt at a document; returns the draft and its template's name."""
    again = f" {attempt}" if attempt else ""
    content, look = source(seed, config, "content" + again), source(seed, config, "look" + again)
    choices = templates_for(config)
    template = content.choices(choices, [choice.weight for choice in choices])[0]
    low, high = _room(config)
    draft = Draft(content, look, config, overrides)
    template.build(draft, content.randint(low, high), template.variant)
    return draft, template.name


def _room(config: GeneratorConfig) -> tuple[int, int]:
    low, high = ROOM[config.level]
    high = config.max_lines or high
    return min(low, high), high


def _draft(seed: int, config: GeneratorConfig) -> tuple[Draft, str, int]:
    """The first attempt that keeps to the number of lines, and which one that was."""
    _, high = _room(config)
    width = _width(seed, config)
    for attempt in range(_TRIES):
        draft, name = _build(seed, config, attempt, {})
        if sum(bool(row.cells) for row in draft.rows) > high:
            continue
        if not width or block_width(draft.rows) + 2 * MARGIN <= width:
            return draft, name, attempt
    names = ", ".join(template.name for template in templates_for(config))
    wide = f" and widths is {config.widths}" if width else ""
    raise ConfigError(f"max_lines is {high}{wide}, too few for any of the templates {names}.")


def _width(seed: int, config: GeneratorConfig) -> int:
    return config.draw_width(source(seed, config, "width"))


def _finish(
    seed: int, config: GeneratorConfig, draft: Draft, template: str, block: int | None = None
) -> _Written:
    width = _width(seed, config)
    canvas, block = compose(draft.rows, draft.style, draft.look, config, block, width)
    lines = tuple(row.text for row in draft.rows if row.cells)
    codes, centers, boxes = canvas.characters()
    questions = Asker(draft, lines, source(seed, config, "questions"))
    document = Document(
        image=canvas.image, lines=lines, char_codes=codes, char_centers=centers, char_boxes=boxes,
        qas=questions.ask(config.max_questions), template=template, font=draft.style.font,
        meta={"size": draft.style.size},
    )  # fmt: skip
    noise = source(seed, config, "noise")
    noisy = add_noise(document, noise, config.noise, config.side_multiple)
    return _Written(noisy, draft, block)


def write(seed: int, config: GeneratorConfig) -> Document:
    """Draws a document of level "lines", "small" or "page"."""
    return write_from_draft(seed, config)[0]


def write_from_draft(seed: int, config: GeneratorConfig) -> tuple[Document, Draft]:
    """The document of `write`, and the draft that knows its fields."""
    draft, template, _ = _draft(seed, config)
    return _finish(seed, config, draft, template).document, draft


def rewrite(seed: int, config: GeneratorConfig, slot: str) -> tuple[Document, QA] | None:
    """Draws the document of `write` with the value of one slot replaced, all else unchanged.

    Returns:
        The new document and its question; None if the document asks for no such slot, or no value
        fits in its place.
    """
    draft, template, attempt = _draft(seed, config)
    original = _finish(seed, config, draft, template)
    asked = next((qa for qa in original.document.qas if qa.slot == slot), None)
    if asked is None:
        return None
    rng = source(seed, config, "redraw")
    for tries in range(_TRIES):
        # First a value such as the field may have, of the same length; then any of that shape.
        value = draft.slots[slot].remake()
        if tries > _TRIES // 2:
            value = similar(rng, config.split, asked.answer, near=0.0)
        short = len(value) < 4  # too few of them to be kept apart
        if value == asked.answer or len(value) != len(asked.answer):
            continue
        if not short and (value in original.document.text or not on_side(value, config.split)):
            continue
        changed, _ = _build(seed, config, attempt, {slot: value})
        if block_width(changed.rows) <= original.block:
            finished = _finish(seed, config, changed, template, original.block)
            return finished.document, QA(asked.kind, asked.question, value, slot)
    return None
