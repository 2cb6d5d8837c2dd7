"""Small examples for tests of packing, loading and training."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from latentvlm.data.loader import Loader
from latentvlm.data.packed_batch import Example
from latentvlm.data.packing import RowLimits
from latentvlm.data.producer import ShardProducer
from latentvlm.data.shards import Record

ROWS = RowLimits(tokens=64, patches=64, open_rows=3)


def example(tokens: int, patches: int = 4, *, first: int = 1) -> Example:
    """An example of ids `first`, `first + 1`, ...; its second half is labelled."""
    ids = np.arange(first, first + tokens, dtype=np.int64)
    labels = ids.copy()
    labels[: tokens // 2] = -100
    return Example(
        input_ids=ids,
        labels=labels,
        pixel_values=np.full((patches, 12), first, dtype=np.float32),
        image_grid_hw=np.array([[2, patches // 2]], dtype=np.int64),
        char_targets=np.full((patches, 2), first, dtype=np.int64),
        kinds=("value",),
    )


class Numbers:
    """Shard k holds records with the numbers 16 k to 16 k + 15."""

    def records(self, shard: int) -> Iterator[Record]:
        for idx in range(16):
            number = shard * 16 + idx
            yield Record(key=f"{number}", image=np.zeros((2, 2, 3), np.uint8), meta={"n": number})


def numbers_example(record: Record) -> Example | None:
    """A sequence of that number, of varying length; some records have nothing to learn."""
    number = record.meta["n"]
    if number % 11 == 5:
        return None
    length = 3 + number * 7 % 29
    ids = np.full(length, number, dtype=np.int64)
    return Example(
        input_ids=ids, labels=ids, pixel_values=np.zeros((4, 12), np.float32),
        image_grid_hw=np.array([[2, 2]]),
    )  # fmt: skip


def numbers_loader(folder: Path, stripe: tuple[int, int] = (0, 1)) -> Loader:
    """A loader of `Numbers`, drawn as they are read; each stripe has a folder of its own."""
    producer = ShardProducer(Numbers(), folder / f"{stripe[0]}", workers=0)
    return Loader(producer, numbers_example, limits=ROWS, stripe=stripe)
