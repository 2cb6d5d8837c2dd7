"""Vision-language families on random small models of many shapes; see `vision_sweep`."""

import logging
from pathlib import Path

import pytest
import torch
from support.vision_sweep import compare_images, compare_videos

QUICK, ALL = 8, 48


@pytest.fixture(autouse=True)
def quiet():
    """transformers says once for each of its fallbacks that it is one."""
    logging.getLogger("transformers").setLevel(logging.ERROR)


KINDS = {
    "omni images": compare_images,
    "omni videos": lambda seed, folder: compare_videos(seed, folder, tiles=False),
    "nano vl v2": lambda seed, folder: compare_videos(seed, folder, tiles=True),
}


@pytest.mark.parametrize("seed", range(QUICK))
@pytest.mark.parametrize("kind", KINDS)
@torch.inference_mode()
def test_a_family_agrees(kind: str, seed: int, tmp_path: Path) -> None:
    KINDS[kind](seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(QUICK, ALL))
@pytest.mark.parametrize("kind", KINDS)
@torch.inference_mode()
def test_a_family_agrees_in_many_shapes(kind: str, seed: int, tmp_path: Path) -> None:
    KINDS[kind](seed, tmp_path)
