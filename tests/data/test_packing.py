"""Packing: nothing lost, nothing crosses a boundary, no row too large."""

import numpy as np
import pytest
from support.training import example

from latentvlm.data.packed_batch import pack
from latentvlm.data.packing import Packer, RowLimits


def test_labels_are_shifted_inside_a_sequence_only():
    batch = pack([example(4, first=10), example(3, first=20)])
    assert batch.input_ids.tolist() == [10, 11, 12, 13, 20, 21, 22]
    assert batch.labels.tolist() == [-100, 12, 13, -100, 21, 22, -100]
    assert batch.next_ids.tolist() == [11, 12, 13, 0, 21, 22, 0]
    assert batch.next_labels.tolist() == [12, 13, -100, -100, 22, -100, -100]
    assert batch.cu_seqlens.tolist() == [0, 4, 7]
    assert batch.image_grid_hw.tolist() == [[2, 2], [2, 2]]
    assert batch.char_targets is not None and batch.char_targets.shape == (8, 2)
    assert batch.kinds == ("value", "value") and batch.num_examples == 2


def test_pictures_without_text():
    batch = pack([example(0), example(0)])
    assert batch.input_ids.numel() == 0 and batch.pixel_values.shape == (8, 12)


def test_rows_hold_everything_once_and_stay_within_limits():
    rng = np.random.default_rng(0)
    limits = RowLimits(tokens=100, patches=60, open_rows=3)
    packer = Packer(limits)
    sizes = [(int(rng.integers(1, 60)), 2 * int(rng.integers(1, 15))) for _ in range(200)]
    rows = [packer.add(idx, example(*size)) for idx, size in enumerate(sizes)]
    while (row := packer.take()) is not None:
        rows.append(row)
    rows = [row for row in rows if row]
    assert sorted(tag for row in rows for tag, _ in row) == list(range(200))
    for row in rows:
        assert sum(e.num_tokens for _, e in row) <= 100
        assert sum(e.num_patches for _, e in row) <= 60
    filled = np.mean([max(sum(e.num_tokens for _, e in r) / 100,
                          sum(e.num_patches for _, e in r) / 60) for r in rows])  # fmt: skip
    assert filled > 0.8


@pytest.mark.parametrize(("tokens", "patches"), [(101, 4), (10, 62)])
def test_too_large_for_any_row(tokens, patches):
    assert not Packer(RowLimits(tokens=100, patches=60)).fits_alone(example(tokens, patches))
