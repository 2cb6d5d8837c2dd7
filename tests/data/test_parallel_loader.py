"""Loaders in processes: every stripe is read, and a resume gives the rows of a whole run."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from support.training import numbers_loader

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
    resumed.close()


def test_another_number_of_processes_is_refused(tmp_path: Path):
    rows = ParallelLoader(partial(numbers_loader, tmp_path), processes=2)
    with pytest.raises(DataError, match="is of 3 processes"):
        rows.load_state_dict({"processes": 3, "inner": {}})
