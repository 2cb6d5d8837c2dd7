"""Short pieces of text of every sort, for pictures that only teach to read."""

import random
from collections.abc import Callable

from . import values
from .splits import fresh
from .text import casing, random_string
from .words import words

_LABELS = (
    "Invoice no", "Total", "Date", "Order", "Name", "Phone", "Due", "Ref", "Tax", "Paid",
    "Customer", "Account", "Amount", "Qty", "Price", "City", "Email", "Address", "Item", "Balance",
)  # fmt: skip

_LONGEST_PIECE = 24  # characters


def fragment(rng: random.Random, split: str, *, even: float = 0.4) -> str:
    """One short run of text.

    Args:
        rng: the random source.
        split: "train" or "heldout".
        even: share of runs whose characters are drawn evenly from the character set, so that
            rare characters are seen too.
    """
    if rng.random() < even:
        return fresh(lambda: random_string(rng, rng.randint(2, 10)), split)
    draw = rng.randrange(14)
    if draw == 0:
        return values.amount(rng, split, values.number_format(rng), rng.choice(values.CURRENCIES))
    if draw == 1:
        return values.date(rng, split)
    if draw == 2:
        return values.code(rng, split)
    if draw == 3:
        return values.phone(rng, split)
    if draw == 4:
        return values.person(rng, split)
    if draw == 5:
        return values.company(rng, split)
    if draw == 6:
        return values.street(rng, split)
    if draw == 7:
        return values.item(rng, split)
    if draw == 8:
        return values.clock(rng, split)
    if draw == 9:
        return values.percent(rng)
    if draw == 10:
        return values.email(rng, split)
    if draw == 11:
        return casing(rng, values.new_word(rng, split))
    if draw == 12:
        return values.sentence(rng, split, rng.randint(2, 4))
    return casing(rng, rng.choice(words("nouns", split)))


def single_line(rng: random.Random, split: str, longest: int) -> str:
    """A line of at most `longest` characters: a run, two runs, a label with a value, words."""
    for _ in range(50):
        draw = rng.random()
        if draw < 0.3:
            text = fragment(rng, split, even=0.25)
        elif draw < 0.6:
            separator = rng.choice((": ", ": ", " ", "  ", " - ", ":"))
            text = f"{rng.choice(_LABELS)}{separator}{fragment(rng, split, even=0.1)}"
        elif draw < 0.8:
            text = f"{fragment(rng, split, even=0.2)} {fragment(rng, split, even=0.2)}"
        else:
            text = values.sentence(rng, split, rng.randint(2, 6))
        if len(text) <= longest:
            return " ".join(text.split())
    return casing(rng, values.new_word(rng, split))


def full_line(
    rng: random.Random, split: str, fits: Callable[[str], bool], *, scrambled: float = 0.0
) -> str:
    """A line that mostly fills its place: runs, labels with values and words, as many as fit.

    Args:
        fits: whether a text still has room.
        scrambled: share of words whose letters and digits are drawn at random.
    """
    wanted = rng.choice((1, 2, 3, 4, 4, 4, 4))  # pieces; about half of the lines are filled
    text = ""
    for _ in range(12):
        piece = single_line(rng, split, _LONGEST_PIECE)
        if scrambled:
            piece = " ".join(_scramble(rng, split, word, scrambled) for word in piece.split(" "))
        longer = f"{text} {piece}" if text else piece
        if fits(longer):
            text, wanted = longer, wanted - 1
        if text and wanted <= 0:
            break
    return text or casing(rng, values.new_word(rng, split))


def _scramble(rng: random.Random, split: str, word: str, share: float) -> str:
    if rng.random() >= share:
        return word
    if word.isalpha() and rng.random() < 0.4:
        return casing(rng, values.new_word(rng, split))
    return values.similar(rng, split, word, near=0.0)
