"""Values a document prints: amounts, dates, numbers, names, addresses.

Each function takes the random source and the split; values long enough to be told apart are
drawn so that training and held-out documents never share one (`splits.fresh`).
"""

import random

from .splits import fresh, on_side
from .text import pseudo_word
from .words import COMPANY_ENDINGS, STREET_KINDS, words

MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
CURRENCIES = ("$", "£", "€", "¥", "USD ", "EUR ", "GBP ", "CHF ")
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_DIGITS = "0123456789"


def digits(rng: random.Random, count: int) -> str:
    """`count` digits, the first not zero."""
    return str(rng.randrange(10 ** (count - 1), 10**count))


def number_format(rng: random.Random) -> tuple[str, str]:
    """Separators of thousands and of decimals: one draw serves a whole document."""
    return rng.choice(((",", "."), (",", "."), ("", "."), ("", "."), (".", ","), ("", ",")))


def format_cents(cents: int, style: tuple[str, str], currency: str = "") -> str:
    """An amount of cents as printed, such as $1,204.50."""
    thousands, decimal = style
    whole = f"{cents // 100:,}".replace(",", thousands)
    return f"{currency}{whole}{decimal}{cents % 100:02d}"


def random_cents(rng: random.Random, largest_digits: int = 6) -> int:
    """Cents with an even spread over the number of digits, from 1.00 up."""
    return int(digits(rng, rng.randint(3, largest_digits)))


def amount(rng: random.Random, split: str, style: tuple[str, str], currency: str) -> str:
    return fresh(lambda: format_cents(random_cents(rng), style, currency), split)


def date(rng: random.Random, split: str, pattern: int | None = None) -> str:
    """A date of 1990 to 2039 in one of eight notations (`pattern` fixes which)."""
    if pattern is None:
        pattern = rng.randrange(8)

    def make() -> str:
        day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(1990, 2039)
        name = MONTHS[month - 1]
        return (
            f"{year}-{month:02d}-{day:02d}",
            f"{day:02d}/{month:02d}/{year}",
            f"{day:02d}.{month:02d}.{year}",
            f"{month:02d}/{day:02d}/{year % 100:02d}",
            f"{day} {name} {year}",
            f"{name} {day}, {year}",
            f"{day} {name[:3]} {year}",
            f"{day:02d}-{name[:3].upper()}-{year}",
        )[pattern]

    return fresh(make, split)


def clock(rng: random.Random, split: str) -> str:
    def make() -> str:
        hour, minute = rng.randrange(24), rng.randrange(60)
        if pattern == 0:
            return f"{hour:02d}:{minute:02d}"
        return f"{hour % 12 + 1}:{minute:02d} {'pm' if hour >= 12 else 'am'}"

    pattern = rng.randrange(2)
    return fresh(make, split)


def code(rng: random.Random, split: str) -> str:
    """An identifier such as 4821-XK or INV20931."""

    def letters(count: int) -> str:
        return "".join(rng.choices(_LETTERS, k=count))

    pattern = rng.randrange(8)

    def make() -> str:
        if pattern == 0:
            return f"{digits(rng, 4)}-{letters(2)}"
        if pattern == 1:
            return f"{letters(2)}-{digits(rng, 4)}"
        if pattern == 2:
            return digits(rng, rng.randint(5, 8))
        if pattern == 3:
            return f"{letters(3)}{digits(rng, 4)}"
        if pattern == 4:
            return "".join(rng.choices(_LETTERS + _DIGITS, k=rng.randint(5, 8)))
        if pattern == 5:
            return f"{digits(rng, 3)}/{digits(rng, 3)}"
        if pattern == 6:
            return f"#{digits(rng, rng.randint(4, 6))}"
        return f"{letters(1)}{digits(rng, 2)}-{digits(rng, 3)}-{letters(1)}"

    return fresh(make, split)


def phone(rng: random.Random, split: str) -> str:
    pattern = rng.randrange(4)

    def make() -> str:
        return (
            f"+{rng.randint(1, 98)} {digits(rng, 3)} {digits(rng, 4)}",
            f"{digits(rng, 3)}-{digits(rng, 3)}-{digits(rng, 4)}",
            f"({digits(rng, 3)}) {digits(rng, 3)}-{digits(rng, 4)}",
            f"0{digits(rng, 4)} {digits(rng, 6)}",
        )[pattern]

    return fresh(make, split)


def new_word(rng: random.Random, split: str) -> str:
    """A made-up word, in lower case."""
    return fresh(lambda: pseudo_word(rng), split)


def person(rng: random.Random, split: str) -> str:
    """First and last name; one in three last names, and one in six first names, is made up."""
    first = rng.choice(words("first_names", split))
    if rng.random() < 1 / 6:
        first = new_word(rng, split).capitalize()
    last = rng.choice(words("last_names", split))
    if rng.random() < 1 / 3:
        last = new_word(rng, split).capitalize()
    return f"{first[0]}. {last}" if rng.random() < 0.15 else f"{first} {last}"


def company(rng: random.Random, split: str) -> str:
    name = rng.choice(words("companies", split))
    if rng.random() < 0.4:
        name = new_word(rng, split).capitalize()
    return f"{name} {rng.choice(words('trades', split))}{rng.choice(COMPANY_ENDINGS)}"


def city(rng: random.Random, split: str) -> str:
    if rng.random() < 0.25:
        return new_word(rng, split).capitalize()
    return rng.choice(words("cities", split))


def street(rng: random.Random, split: str) -> str:
    name = rng.choice(words("streets", split))
    if rng.random() < 0.25:
        name = new_word(rng, split).capitalize()
    return f"{rng.randint(1, 299)} {name} {rng.choice(STREET_KINDS)}"


def postcode(rng: random.Random, split: str) -> str:
    pattern = rng.randrange(2)

    def make() -> str:
        if pattern == 0:
            return digits(rng, 5)
        letters = "".join(rng.choices(_LETTERS, k=4))
        return f"{letters[:2]}{rng.randint(1, 19)} {rng.randint(1, 9)}{letters[2:]}"

    return fresh(make, split)


def address(rng: random.Random, split: str) -> str:
    """Street, postcode and town on one line."""
    return f"{street(rng, split)}, {postcode(rng, split)} {city(rng, split)}"


def email(rng: random.Random, split: str) -> str:
    def make() -> str:
        host = f"{pseudo_word(rng)}.{rng.choice(('com', 'org', 'net', 'eu', 'de', 'co.uk'))}"
        return f"{pseudo_word(rng)}{rng.choice(('', '', str(rng.randint(1, 99))))}@{host}"

    return fresh(make, split)


def item(rng: random.Random, split: str) -> str:
    """Something one buys, with a capital in most cases."""
    name = rng.choice(words("items", split))
    if rng.random() < 0.2:
        name = new_word(rng, split)
    return name if rng.random() < 0.2 else name[0].upper() + name[1:]


def percent(rng: random.Random) -> str:
    return rng.choice((f"{rng.randint(1, 99)}%", f"{rng.randint(1, 99)}.{rng.randrange(10)}%"))


def sentence(rng: random.Random, split: str, count: int) -> str:
    """`count` words that look like a sentence: capital first, a stop at the end."""
    pools = (words("others", split), words("nouns", split), words("verbs", split))
    chosen = [rng.choice(rng.choice(pools)) for _ in range(count)]
    if rng.random() < 0.3:
        chosen[rng.randrange(count)] = new_word(rng, split)
    text = " ".join(chosen)
    return text[0].upper() + text[1:] + rng.choice((".", ".", ".", "", "!", "?"))


def similar(rng: random.Random, split: str, text: str, near: float = 0.4) -> str:
    """A string of the same shape and length that differs, with chance `near` in one character only.

    Digits stay digits and letters letters; a text without either is returned with a digit added.
    """
    spots = [idx for idx, char in enumerate(text) if char.isalnum()]
    if not spots:
        return text + rng.choice(_DIGITS)
    result = text
    for attempt in range(200):
        chars = list(text)
        changed = [rng.choice(spots)] if rng.random() < near and attempt < 100 else spots
        for idx in changed:
            char = chars[idx]
            if char.isdigit():
                chars[idx] = rng.choice(_DIGITS[idx == spots[0] :])
            elif char.isupper():
                chars[idx] = rng.choice(_LETTERS)
            else:
                chars[idx] = rng.choice("abcdefghijklmnopqrstuvwxyz")
        result = "".join(chars)
        if result != text and (on_side(result, split) or len(spots) < 3):
            break
    return result
