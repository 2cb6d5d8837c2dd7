"""Shards of several sources, taken in turns by weight."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .loader import ShardSource


class MixedSource:
    """Shard k comes from the source that lags furthest behind its share; a function of k alone.

    Args:
        sources: none of which may end.
        weights: how many shards of each, relative to the others.
    """

    def __init__(self, sources: Sequence[ShardSource], weights: Sequence[float]):
        self.sources = sources
        self.weights = weights
        self._taken = [0] * len(sources)
        self._places: list[tuple[int, int]] = []

    def path(self, shard: int) -> Path | None:
        """The file of the shard."""
        source, place = self._place(shard)
        return self.sources[source].path(place)

    def release(self, shard: int) -> None:
        """Say that the shard was read to its end."""
        source, place = self._place(shard)
        self.sources[source].release(place)

    def close(self) -> None:
        """Stop what draws shards."""
        for source in self.sources:
            source.close()

    def _place(self, shard: int) -> tuple[int, int]:
        """Which source a shard is of, and which of its shards."""
        total = sum(self.weights)
        while len(self._places) <= shard:
            due = len(self._places) + 1
            lag = [due * w / total - n for w, n in zip(self.weights, self._taken, strict=True)]
            source = lag.index(max(lag))
            self._places.append((source, self._taken[source]))
            self._taken[source] += 1
        return self._places[shard]
