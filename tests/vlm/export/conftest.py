"""A small model of every kind of layer in BF16, and its exports, made once."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support.tiny_model import tiny_config, write_tiny_model

from latentvlm.vlm.export.export import Exported, export


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original") / "model"
    config = tiny_config(moe_intermediate_size=32)
    write_tiny_model(folder, config=config, dtype=torch.bfloat16)
    return folder


@pytest.fixture(scope="session")
def exported(
    original: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[Path, Exported]]:
    """An export by recipe and layout; the same one if it is asked for again. Not to be changed."""
    made: dict[tuple[str, str], tuple[Path, Exported]] = {}

    def find(recipe: str, layout: str) -> tuple[Path, Exported]:
        if (recipe, layout) not in made:
            out = tmp_path_factory.mktemp("export") / f"{recipe}.{layout}"
            found = export(
                original,
                out,
                recipe=recipe,
                layout=layout,  # type: ignore[arg-type]
                num_prompts=3,
                num_held_out=2,
                num_answers=0,
                max_shard_bytes=60_000,
            )
            made[recipe, layout] = out, found
        return made[recipe, layout]

    return find


@pytest.fixture
def copy_of(exported, tmp_path: Path) -> Callable[..., Path]:
    """A copy of an export that may be spoilt."""

    def copy(recipe: str = "super-nvfp4", layout: str = "modelopt") -> Path:
        return Path(shutil.copytree(exported(recipe, layout)[0], tmp_path / "copy"))

    return copy
