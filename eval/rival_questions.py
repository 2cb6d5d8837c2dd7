"""What a question of the generator asks, from its words: for the rival."""

import functools
import re
from dataclasses import dataclass

from ..data.synthetic.fields import FIELDS
from ..data.synthetic.questions import PHRASINGS
from ..data.synthetic.tables import TABLE_KINDS


@dataclass(frozen=True)
class ParsedQuestion:
    """A question: which of `PHRASINGS` it is, and the words that fill its slots."""

    what: str
    slots: dict[str, str]


def parse_question(question: str) -> ParsedQuestion | None:
    """Understands any phrasing of the generator, whatever its capitals; None if it is not one."""
    for what, pattern in _patterns():
        found = pattern.fullmatch(question.strip())
        if found:
            return ParsedQuestion(what, found.groupdict())
    return None


@functools.cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    fields = {name for kind in FIELDS.values() for name in kind.asked}
    columns = {column.asked for kind in TABLE_KINDS.values() for column in kind.columns}
    free = r"(?P<{}>.+?)"
    words = {
        "noun": _any("noun", {kind.noun for kind in TABLE_KINDS.values()}),
        "plural": _any("plural", {kind.plural for kind in TABLE_KINDS.values()}),
        "ordinal": r"(?P<ordinal>\w+)",
        **{name: free.format(name) for name in ("key", "value", "a", "b")},
    }
    patterns: list[tuple[bool, int, str, re.Pattern[str]]] = []
    for what, (train, heldout) in PHRASINGS.items():
        if what in ("which_page", "count_pages"):
            continue  # the rival is shown one page
        of_table = what in ("cell", "row", "most", "least", "versus")
        slots = {**words, "asked": _any("asked", columns if of_table else fields)}
        for phrasing in train + heldout:
            # {Asked} is {asked} with a capital, and "a" becomes "an" before a vowel.
            parts = re.split(r"\{(\w+)\}", re.sub(r"\ba (?=\{)", "an ", phrasing))
            regex = "".join(
                slots[part.lower()] if idx % 2 else re.escape(part).replace(r"an\ ", r"an?\ ")
                for idx, part in enumerate(parts)
            )
            literal = sum(len(part) for part in parts[::2])
            patterns.append((".+?" in regex, -literal, what, re.compile(regex, re.IGNORECASE)))
    # Free slots match nearly anything, so phrasings without them come first, and then long ones.
    patterns.sort(key=lambda entry: entry[:2])
    return tuple((what, pattern) for *_, what, pattern in patterns)


def _any(name: str, texts: set[str]) -> str:
    longest_first = sorted(texts, key=len, reverse=True)
    return f"(?P<{name}>{'|'.join(map(re.escape, longest_first))})"
