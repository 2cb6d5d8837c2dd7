"""Which pages of a document: "1-3,7" or [1, 2, 3, 7], checked against how many there are."""

import re
from collections.abc import Iterable, Iterator
from operator import index
from typing import SupportsIndex, TypeAlias

from ...errors import MediaError
from .types import MediaLimits

_PART = re.compile(r"\s*(\d{1,9})\s*(?:(-)\s*(\d{1,9})?\s*)?", re.ASCII)

PageChoice: TypeAlias = str | int | Iterable[int] | None


def parse_pages(spec: PageChoice, num_pages: int, *, name: str = "the document") -> list[int]:
    """Page numbers in the order asked for, each once.

    Args:
        spec: "1-3,7" (and "5-" for page 5 to the end), one number, several numbers, or None
            for every page. Pages count from 1.
        num_pages: how many pages there are.
        name: what errors call the document.

    Raises:
        MediaError: the choice is malformed, empty, or names a page that is not there.
    """
    if spec is None:
        ranges: Iterator[tuple[int, int]] = iter([(1, num_pages)])
    elif isinstance(spec, str):
        ranges = _from_text(spec, num_pages)
    elif isinstance(spec, Iterable):
        ranges = _from_numbers(spec)
    else:
        ranges = _from_numbers([spec])

    chosen: dict[int, None] = {}  # a dict keeps the order and drops repeats
    for first, last in ranges:
        for number in (first, last):
            # Checked before the range is unrolled: "1-999999999" must not cost anything.
            if not 1 <= number <= num_pages:
                pages = "1 page" if num_pages == 1 else f"{num_pages} pages"
                raise MediaError(f"There is no page {number} in {name}, which has {pages}.")
        chosen.update(dict.fromkeys(range(first, last + 1)))
    if not chosen:
        raise MediaError(f"No page of {name} was chosen; leave pages out to take all of them.")
    return list(chosen)


def choose_pages(spec: PageChoice, num_pages: int, *, name: str, limits: MediaLimits) -> list[int]:
    """`parse_pages`, and at most `limits.max_pages` of them.

    Raises:
        MediaError: as `parse_pages`, or too many pages for one call.
    """
    chosen = parse_pages(spec, num_pages, name=name)
    if len(chosen) > limits.max_pages:
        raise MediaError(
            f"{len(chosen)} pages of {name} are more than the {limits.max_pages} that are opened "
            f'at once; choose fewer, such as pages="1-{limits.max_pages}" (--pages '
            f"1-{limits.max_pages}), or raise MediaLimits.max_pages (--media-limit "
            f"max-pages={len(chosen)})."
        )
    return chosen


def _from_text(spec: str, num_pages: int) -> Iterator[tuple[int, int]]:
    for part in spec.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise _malformed(spec)
        first = int(match[1])
        last = int(match[3]) if match[3] else max(first, num_pages) if match[2] else first
        if last < first:
            raise MediaError(
                f'The page range "{part.strip()}" runs backwards; write "{last}-{first}".'
            )
        yield first, last


def _from_numbers(numbers: Iterable[object]) -> Iterator[tuple[int, int]]:
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, SupportsIndex):
            raise _malformed(number)
        value = index(number)  # also numpy's integers
        yield value, value


def _malformed(spec: object) -> MediaError:
    return MediaError(f'{spec!r} is not a choice of pages; write for example "1-3,7" or [1, 2, 7].')
