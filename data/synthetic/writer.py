"""From a seed to a document of fields, tables and sentences, and the same with a value replaced."""

import random

from .ask import Asker
from .config import GeneratorConfig
from .document import QA, Document
from .draft import Draft
from .noise import add_noise
from .sheet import compose
from .splits import on_side
from .templates import ROOM, templates_for
from .values import similar

_TRIES = 60


def source(seed: int, config: GeneratorConfig, purpose: str) -> random.Random:
    """A random source of its own for each purpose, so that one does not disturb another."""
    # A string seed is hashed whole, so that neighbouring seeds are unrelated.
    return random.Random(f"latentvlm {config.split} {config.level} {purpose} {seed}")


def _write(
    seed: int, config: GeneratorConfig, overrides: dict[str, str] | None = None
) -> tuple[Document, Draft]:
    content, look = source(seed, config, "content"), source(seed, config, "look")
    choices = templates_for(config)
    template = content.choices(choices, [choice.weight for choice in choices])[0]
    low, high = ROOM[config.level]
    high = config.max_lines or high
    draft = Draft(content, look, config, overrides)
    template.build(draft, content.randint(min(low, high), high), template.variant)
    canvas, lines = compose(draft.rows, draft.style, look, config)
    codes, centers, boxes = canvas.characters()
    questions = source(seed, config, "questions")
    document = Document(
        image=canvas.image, lines=lines, char_codes=codes, char_centers=centers, char_boxes=boxes,
        qas=Asker(draft, lines, questions).ask(config.max_questions), template=template.name,
        font=draft.style.font, meta={"size": draft.style.size},
    )  # fmt: skip
    noise = source(seed, config, "noise")
    return add_noise(document, noise, config.noise, config.side_multiple), draft


def write(seed: int, config: GeneratorConfig) -> Document:
    """Draws a document of level "lines", "small" or "page"."""
    return _write(seed, config)[0]


def rewrite(seed: int, config: GeneratorConfig, slot: str) -> tuple[Document, QA] | None:
    """Draws the document of `write` with the value of one slot replaced, all else unchanged.

    Returns:
        The new document and its question, or None if the document asks for no such slot.
    """
    original, draft = _write(seed, config)
    asked = next((qa for qa in original.qas if qa.slot == slot), None)
    if asked is None:
        return None
    rng = source(seed, config, "redraw")
    shape = [char.isalnum() for char in asked.answer]
    result = None
    for attempt in range(_TRIES):
        # First a value such as the field may have, of the same length; then any of that shape.
        value = draft.slots[slot].remake()
        if attempt > _TRIES // 2 or [char.isalnum() for char in value] != shape:
            value = similar(rng, config.split, asked.answer)
        if value == asked.answer or (len(value) > 3 and value in original.text):
            continue
        if len(value) > 3 and not on_side(value, config.split):
            continue
        changed, _ = _write(seed, config, {slot: value})
        result = changed, QA(asked.kind, asked.question, value, slot)
        if changed.image.shape == original.image.shape:
            break
    return result
