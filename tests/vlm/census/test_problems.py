"""A checkpoint against its configuration, by headers alone."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.quantized_folder import fp8, quantize_folder

from latentvlm.errors import CheckpointError
from latentvlm.vlm.census.problems import find_problems
from latentvlm.vlm.census.source import find_source
from latentvlm.vlm.checkpoint import load_model

Tensors = dict[str, torch.Tensor]


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """One file of weights, to be changed."""
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "model"))
    held: Tensors = {}
    for path in sorted(folder.glob("*.safetensors")):
        held |= load_file(path)
        path.unlink()
    (folder / "model.safetensors.index.json").unlink()
    save_file(held, folder / "model.safetensors")
    return folder


def change(folder: Path, by: Callable[[Tensors], object]) -> None:
    held = load_file(folder / "model.safetensors")
    by(held)
    save_file(held, folder / "model.safetensors")


def problems(folder: Path) -> list[str]:
    return find_problems(find_source(str(folder)))


def test_a_whole_checkpoint_has_none(tiny_folder: Path, folder: Path) -> None:
    assert problems(tiny_folder) == problems(folder) == []
    assert find_problems(find_source("tiny")) == []


def test_a_quantized_one_has_none(folder: Path) -> None:
    quantize_folder(folder, fp8)
    assert problems(folder) == []


NORM = "language_model.backbone.norm_f.weight"
EXPERT = "language_model.backbone.layers.3.mixer.experts.1.up_proj.weight"


def test_each_fault_is_a_sentence_and_load_says_the_same(folder: Path) -> None:
    def spoil(held: Tensors) -> None:
        del held[EXPERT]
        held[NORM] = torch.ones(held[NORM].numel() + 1)
        held["language_model.backbone.layers.9.norm.weight"] = torch.ones(3)
        held["stranger.weight"] = torch.ones(2)

    change(folder, spoil)
    missing, unexpected, misshapen = problems(folder)
    assert missing == f"Tensors are missing: {EXPERT}."
    assert unexpected == (
        "Tensors are unexpected: language_model.backbone.layers.9.norm.weight, stranger.weight."
    )
    assert misshapen == f"Tensors are misshapen: {NORM} is [33] but should be [32]."
    change(folder, lambda held: held.pop("stranger.weight"))
    with pytest.raises(CheckpointError) as raised:
        load_model(folder)
    for sentence in problems(folder):
        assert sentence.removeprefix("Tensors are ").rstrip(".") in str(raised.value)


def test_a_configuration_of_another_model(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    values["text_config"]["n_routed_experts"] *= 2
    (folder / "config.json").write_text(json.dumps(values))
    found = problems(folder)
    assert "experts.4.down_proj.weight" in found[0] and found[0].startswith("Tensors are missing")
    assert "mixer.gate.weight is [" in found[1]


def test_weights_without_their_scales(folder: Path) -> None:
    quantize_folder(folder, fp8)

    def spoil(held: Tensors) -> None:
        del held[next(name for name in held if name.endswith("weight_scale"))]

    change(folder, spoil)
    (said,) = problems(folder)
    assert "quantized, but" in said and "weight_scale is missing" in said


def test_a_draft_head_that_was_dropped_is_no_fault(folder: Path) -> None:
    change(folder, lambda held: [held.pop(name) for name in list(held) if ".mtp." in f".{name}"])
    assert problems(folder) == []
    load_model(folder)
