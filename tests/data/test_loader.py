"""The loader: the rows after a stop are the rows of a run that never stopped."""

import json

import numpy as np
import pytest
import torch
from support.training import ROWS, Numbers, numbers_example, numbers_loader

from latentvlm.data.loader import Loader
from latentvlm.data.packed_batch import Example
from latentvlm.data.producer import ShardFolder, ShardProducer, shard_path
from latentvlm.data.shards import Record, write_shard
from latentvlm.errors import DataError


def test_rows_after_a_stop_are_the_same(tmp_path):
    straight = numbers_loader(tmp_path / "a")
    wanted = [next(straight).input_ids for _ in range(40)]
    for stop in (0, 1, 7, 23):
        first = numbers_loader(tmp_path / "b")
        got = [next(first).input_ids for _ in range(stop)]
        state = json.loads(json.dumps(first.state_dict()))
        second = numbers_loader(tmp_path / f"c{stop}")  # elsewhere: every shard is drawn again
        second.load_state_dict(state)
        got += [next(second).input_ids for _ in range(40 - stop)]
        assert all(torch.equal(a, b) for a, b in zip(wanted, got, strict=True))


def test_a_finite_source_ends_with_every_example_seen(tmp_path):
    for shard in range(2):
        write_shard(shard_path(tmp_path, shard), Numbers().records(shard))

    def fresh() -> Loader:
        return Loader(ShardFolder(tmp_path), numbers_example, limits=ROWS)

    rows = list(fresh())
    seen = {int(number) for row in rows for number in row.input_ids}
    assert seen == {n for n in range(32) if n % 11 != 5}
    for stop in range(len(rows) + 1):
        first, second = fresh(), fresh()
        for _ in range(stop):
            next(first)
        second.load_state_dict(first.state_dict())
        rest = list(second)
        assert [r.input_ids.tolist() for r in rest] == [r.input_ids.tolist() for r in rows[stop:]]


def test_consumed_shards_are_deleted(tmp_path):
    rows = numbers_loader(tmp_path)
    for _ in range(20):
        next(rows)
    assert len(list(tmp_path.rglob("*.tar"))) == 1


def test_examples_larger_than_a_row(tmp_path):
    def large(record: Record) -> Example | None:
        example = numbers_example(record)
        if example is None or record.meta["n"] != 3:
            return example
        ids = np.zeros(65, dtype=np.int64)
        return Example(input_ids=ids, labels=ids, pixel_values=example.pixel_values,
                       image_grid_hw=example.image_grid_hw)  # fmt: skip

    producer = ShardProducer(Numbers(), tmp_path, workers=0)
    with pytest.raises(DataError, match="record '3' of shard .* has 65 tokens"):
        next(Loader(producer, large, limits=ROWS))
    skipping = Loader(producer, large, limits=ROWS, on_error="skip")
    assert 3 not in next(skipping).input_ids
    assert skipping.num_skipped == 2  # number 5 has nothing to learn


def test_a_position_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="loader position cannot be read"):
        numbers_loader(tmp_path).load_state_dict({"next": [0]})
    with pytest.raises(DataError, match="are gone"):
        numbers_loader(tmp_path).load_state_dict(
            {"next": [1, 0], "open_rows": [[[0, 99]]], "skipped": 0}
        )
