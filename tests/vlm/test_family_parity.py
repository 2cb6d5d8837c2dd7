"""Every family against transformers, on random small models of many shapes."""

import logging
from pathlib import Path

import pytest
from support.family_sweep import Sweep, compare
from support.sweeps import SWEEPS

QUICK, ALL = 8, 48


@pytest.fixture(autouse=True)
def quiet():
    """transformers says once for each of its fallbacks that it is one."""
    logging.getLogger("transformers").setLevel(logging.ERROR)


@pytest.mark.parametrize("seed", range(QUICK))
@pytest.mark.parametrize("sweep", SWEEPS.values(), ids=SWEEPS)
def test_a_family_agrees(sweep: Sweep, seed: int, tmp_path: Path) -> None:
    compare(sweep, seed, tmp_path, their_steps=8)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(QUICK, ALL))
@pytest.mark.parametrize("sweep", SWEEPS.values(), ids=SWEEPS)
def test_a_family_agrees_in_many_shapes(sweep: Sweep, seed: int, tmp_path: Path) -> None:
    compare(sweep, seed, tmp_path)
