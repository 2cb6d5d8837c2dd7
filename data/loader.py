"""Shards -> records -> examples -> packed rows, with a position that can be saved.

The position is small and plain (JSON): the next record, and where the examples in the open
rows came from. Loading it reads those few records again, so the rows that follow are exactly
the rows of a run that was never stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from ..errors import DataError
from ..token_reduction.evs import EVSRates
from .packed_batch import Batch, Example
from .packing import Packer, RowLimits
from .shards import OnError, Record, ShardReader

MakeExample = Callable[[Record], Example | None]


class ShardSource(Protocol):
    """Where shards come from: `ShardFolder`, `ShardProducer`."""

    def path(self, shard: int) -> Path | None: ...

    def release(self, shard: int) -> None: ...

    def close(self) -> None: ...


class Loader:
    """An iterator of packed rows.

    Args:
        source: the shards.
        make_example: turns a record into an example, the same one every time it sees the
            record; `None` leaves the record out.
        limits: size of a row.
        evs: the rates of which each row has one.
        on_error: what to do with a record that cannot be read, or whose example is larger
            than a row; left-out records are counted in `num_skipped`.
        stripe: `(i, n)` reads the shards i, i + n, i + 2n, ... only.
    """

    def __init__(
        self,
        source: ShardSource,
        make_example: MakeExample,
        *,
        limits: RowLimits,
        evs: EVSRates | None = None,
        on_error: OnError = "raise",
        stripe: tuple[int, int] = (0, 1),
    ):
        self.source = source
        self.make_example = make_example
        self.limits = limits
        self.reader = ShardReader(on_error)
        self.packer = Packer(limits, evs)
        self.step = stripe[1]
        self.position = (stripe[0], 0)
        self.skipped = 0
        self._rows: Iterator[Batch] | None = None

    def __iter__(self) -> Loader:
        return self

    def __next__(self) -> Batch:
        if self._rows is None:
            self._rows = self._generate()
        return next(self._rows)

    @property
    def num_skipped(self) -> int:
        """Records left out so far."""
        return self.skipped + self.reader.skipped

    def close(self) -> None:
        """Stop what draws shards."""
        self.source.close()

    def state_dict(self) -> dict[str, Any]:
        """The position, as plain lists and numbers."""
        return {
            "next": list(self.position),
            "open_rows": [[list(tag) for tag in row] for row in self.packer.tags()],  # type: ignore[call-overload]
            "skipped": self.num_skipped,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a position.

        Raises:
            DataError: the position is not one of this loader, or its shards are gone.
        """
        try:
            position = (int(state["next"][0]), int(state["next"][1]))
            tags = [[(int(tag[0]), int(tag[1])) for tag in row] for row in state["open_rows"]]
            skipped = int(state["skipped"])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise DataError(f"the loader position cannot be read ({error!r})") from error
        wanted = {tag for row in tags for tag in row}
        examples = self._reread(wanted)
        self.packer.restore([[(tag, examples[tag]) for tag in row] for row in tags])
        self.position, self.skipped, self.reader.skipped = position, skipped, 0
        self._rows = None

    def _reread(self, wanted: set[tuple[int, int]]) -> dict[tuple[int, int], Example]:
        found: dict[tuple[int, int], Example] = {}
        for shard in sorted({shard for shard, _ in wanted}):
            offsets = {offset for at, offset in wanted if at == shard}
            path = self.source.path(shard)
            if path is None:
                break
            for offset, record in self.reader.read(path, start=min(offsets)):
                if offset in offsets:
                    example = self.make_example(record)
                    if example is not None:
                        found[shard, offset] = example
                if offset >= max(offsets):
                    break
        missing = wanted - found.keys()
        if missing:
            raise DataError(f"records {sorted(missing)} of the saved loader position are gone")
        return found

    def _generate(self) -> Iterator[Batch]:
        shard, start = self.position
        while (path := self.source.path(shard)) is not None:
            for offset, record in self.reader.read(path, start=start):
                example = self.make_example(record)
                self.position = (shard, offset + 1)
                if example is None:
                    self.skipped += 1
                elif not self.packer.fits_alone(example):
                    self._too_large(record, path, example)
                else:
                    full = self.packer.add((shard, offset), example)
                    if full is not None:
                        yield self.packer.pack(full)
            self.source.release(shard)
            shard, start = shard + self.step, 0
            self.position = (shard, 0)
        while (row := self.packer.take()) is not None:
            yield self.packer.pack(row)

    def _too_large(self, record: Record, path: Path, example: Example) -> None:
        if self.reader.on_error == "raise":
            raise DataError(
                f"record {record.key!r} of shard {path} has "
                f"{example.tokens_under(self.packer.evs.mildest)} tokens and "
                f"{example.num_patches} patches, but a row holds {self.limits.tokens} and "
                f"{self.limits.patches}; enlarge the row or set on_error to skip"
            )
        self.skipped += 1
