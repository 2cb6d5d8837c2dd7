"""Loaders in processes: every stripe is read, and a resume gives the rows of a whole run."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from support.training import numbers_loader

from latentvlm.data.loader import Loader
from latentvlm.data.packing import RowLimits
from latentvlm.data.parallel_loader import ParallelLoader
from latentvlm.errors import DataError


@pytest.mark.slow  # each process imports torch
def test_rows_after_a_stop_are_the_same(tmp_path: Path):
    make = partial(numbers_loader, tmp_path)
    rows = ParallelLoader(make, processes=2)
    wanted = [next(rows) for _ in range(4)]
    state = json.loads(json.dumps(rows.state_dict()))
    wanted += [next(rows) for _ in range(5)]
    rows.close()
    alone = [numbers_loader(tmp_path / "alone", (i, 2)) for i in (0, 1)]
    for idx, row in enumerate(wanted):
        assert torch.equal(row.input_ids, next(alone[idx % 2]).input_ids)
    resumed = ParallelLoader(make, processes=2)
    resumed.load_state_dict(state)
    for row in wanted[4:]:
        assert torch.equal(row.input_ids, next(resumed).input_ids)
    assert resumed.num_skipped > 0
    assert resumed.num_skipped == sum(loader.num_skipped for loader in alone)
    resumed.close()


def narrow_loader(folder: Path, stripe: tuple[int, int]) -> Loader:
    loader = numbers_loader(folder, stripe)
    loader.limits = loader.packer.limits = RowLimits(tokens=12, patches=64, open_rows=1)
    return loader


@pytest.mark.slow  # each process imports torch
def test_what_is_wrong_in_a_process_is_said_here_in_one_sentence(tmp_path: Path):
    rows = ParallelLoader(partial(narrow_loader, tmp_path), processes=1)
    with pytest.raises(DataError, match=r"^record '2' of shard .* a row holds 12 and 64; [^\n]*$"):
        list(rows)
    rows.close()


def test_another_number_of_processes_is_refused(tmp_path: Path):
    rows = ParallelLoader(partial(numbers_loader, tmp_path), processes=2)
    with pytest.raises(DataError, match="is of 3 processes"):
        rows.load_state_dict({"processes": 3, "inner": {}})
