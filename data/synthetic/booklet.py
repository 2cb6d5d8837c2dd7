"""Documents of several pages, with questions whose answer is on one of them and on no other."""

import random
from dataclasses import dataclass

from ...errors import ConfigError
from .ask import Asker, groups_in
from .config import GeneratorConfig
from .document import QA, Document
from .questions import phrase
from .writer import source, write_from_draft

_STRIDE = 64  # seeds of the pages of neighbouring booklets lie apart


@dataclass(frozen=True, kw_only=True)
class PageQA:
    """A question about a booklet, its answer, and the page, from 1, that has it; 0 for all."""

    qa: QA
    page: int


@dataclass(frozen=True, kw_only=True)
class Booklet:
    """Pages in order, each a document of its own, and questions about all of them together."""

    pages: tuple[Document, ...]
    questions: tuple[PageQA, ...]


def draw_booklet(
    seed: int,
    config: GeneratorConfig,
    *,
    pages: int = 5,
    max_questions: int = 4,
    about_pages: bool = False,
) -> Booklet:
    """Draws a document of several pages.

    A field is asked for only if its value is printed once in the whole booklet and no other page
    has a field, or a table, that could be meant instead.

    Args:
        seed: any integer; the same one draws the same booklet everywhere.
        config: of each page: level "lines", "small" or "page".
        pages: how many.
        max_questions: the most questions.
        about_pages: ask beside them, once each, which page says a value (kind "which_page"), and
            how many pages there are ("count_pages").

    Raises:
        ConfigError: the level has no fields, or the number of pages cannot be.
    """
    if config.level in ("glyphs", "line") or not 1 <= pages <= _STRIDE:
        raise ConfigError(
            f"A booklet of {pages} pages of level {config.level!r} cannot be drawn; take 1 to "
            f"{_STRIDE} pages of level 'lines', 'small' or 'page'."
        )
    drawn = [write_from_draft(seed * _STRIDE + page, config) for page in range(pages)]
    rng = source(seed, config, "booklet")
    found = []
    for number, (document, draft) in enumerate(drawn, start=1):
        others = [other for idx, (_, other) in enumerate(drawn, start=1) if idx != number]
        meant_elsewhere = set().union(*map(groups_in, others)) if others else set()
        text_elsewhere = "\n".join(page.text for page, _ in drawn if page is not document)
        asker = Asker(draft, document.lines, rng)
        for field in draft.fields:
            groups = {field.kind.group, *field.kind.also}
            if groups & meant_elsewhere or field.value in text_elsewhere:
                continue
            found.append(PageQA(qa=asker.about(field), page=number))
    rng.shuffle(found)
    asked = found[:max_questions]
    if about_pages:
        # From a source of their own, so that the other questions stay what they are.
        asked += _about_pages(found, pages, source(seed, config, "booklet pages"), config.split)
    return Booklet(pages=tuple(page for page, _ in drawn), questions=tuple(asked))


def _about_pages(fields: list[PageQA], pages: int, rng: random.Random, split: str) -> list[PageQA]:
    made = []
    if fields:
        about = rng.choice(fields)
        question = phrase(rng, "which_page", split, a=about.qa.answer)
        made.append(PageQA(qa=QA("which_page", question, str(about.page)), page=about.page))
    question = phrase(rng, "count_pages", split)
    return [*made, PageQA(qa=QA("count_pages", question, str(pages)), page=0)]
