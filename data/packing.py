"""Which examples of unequal length share a row, so that rows are of nearly equal size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..token_reduction.evs import EVSConfig, EVSRates
from .packed_batch import Batch, Example, pack


@dataclass(frozen=True, kw_only=True)
class RowLimits:
    """How large a row may get.

    Attributes:
        tokens: text and visual tokens.
        patches: patches of all its pictures.
        open_rows: rows filled side by side; more of them leave fewer gaps.
    """

    tokens: int = 4096
    patches: int = 8192
    open_rows: int = 4


@dataclass
class _Row:
    evs: EVSConfig
    entries: list[tuple[object, Example]] = field(default_factory=list)
    tokens: int = 0
    patches: int = 0


class Packer:
    """First fit into a few open rows; the fullest leaves when an example fits in none.

    Entries are `(tag, example)`; tags say where an example came from, so that the open rows
    can be rebuilt after a stop. A row's EVS rate is drawn from the tag of its first entry, so
    that is rebuilt too.

    Args:
        limits: of a row, in tokens that EVS leaves.
        evs: the rates of which each row has one.
    """

    def __init__(self, limits: RowLimits, evs: EVSRates | None = None):
        self.limits = limits
        self.evs = evs or EVSRates()
        self.rows: list[_Row] = []

    def fits_alone(self, example: Example) -> bool:
        """Whether the example fits an empty row, whichever rate that has."""
        limits = self.limits
        tokens = example.tokens_under(self.evs.mildest)
        return tokens <= limits.tokens and example.num_patches <= limits.patches

    def add(self, tag: object, example: Example) -> list[tuple[object, Example]] | None:
        """Place an example; returns the entries of a full row when one had to leave."""
        limits = self.limits
        for row in self.rows:
            if (
                row.tokens + example.tokens_under(row.evs) <= limits.tokens
                and row.patches + example.num_patches <= limits.patches
            ):
                _put(row, tag, example)
                return None
        full = None
        if len(self.rows) >= limits.open_rows:
            # max() takes the first of equals: the order is a function of the examples alone.
            fullest = max(self.rows, key=self._fill)
            self.rows.remove(fullest)
            full = fullest.entries
        self.rows.append(_Row(self._evs_of(tag)))
        _put(self.rows[-1], tag, example)
        return full

    def pack(self, entries: Sequence[tuple[object, Example]]) -> Batch:
        """The packed row of entries that left together."""
        return pack([example for _, example in entries], evs=self._evs_of(entries[0][0]))

    def take(self) -> list[tuple[object, Example]] | None:
        """Entries of the oldest open row, or `None` when there is none left."""
        return self.rows.pop(0).entries if self.rows else None

    def tags(self) -> list[list[object]]:
        """Tags of the open rows, for `restore`."""
        return [[tag for tag, _ in row.entries] for row in self.rows]

    def restore(self, rows: Sequence[Sequence[tuple[object, Example]]]) -> None:
        """Rebuild the open rows from their entries."""
        self.rows = []
        for entries in rows:
            self.rows.append(_Row(self._evs_of(entries[0][0])))
            for tag, example in entries:
                _put(self.rows[-1], tag, example)

    def _evs_of(self, first: object) -> EVSConfig:
        return self.evs.draw(f"evs {first}")

    def _fill(self, row: _Row) -> float:
        return max(row.tokens / self.limits.tokens, row.patches / self.limits.patches)


def _put(row: _Row, tag: object, example: Example) -> None:
    row.entries.append((tag, example))
    row.tokens += example.tokens_under(row.evs)
    row.patches += example.num_patches
