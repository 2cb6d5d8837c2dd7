"""Total and active parameters of the published models, and bits by class."""

import shutil
from pathlib import Path

import pytest
from support.counted import counted
from support.quantized_folder import declare, flat, fp8, modelopt_nvfp4, quantize_folder

from latentvlm.errors import CheckpointError, ConfigError
from latentvlm.vlm.census import parameters as parts
from latentvlm.vlm.census.description import describe
from latentvlm.vlm.census.source import find_source
from latentvlm.vlm.checkpoint.load import load_model


@pytest.mark.parametrize(("name", "total", "active", "with_embeddings"), [
    ("nemotron-3-nano-30b-a3b", 31.58, 3.23, 3.58),
    ("nemotron-3-super-120b-a12b", 120.67, 12.23, 12.77),
    ("nemotron-3-ultra-550b-a55b", 549.31, 55.0, 56.1),
    ("nemotron-nano-12b-v2", 12.31, 11.64, 12.31),
    ("jamba-v0.1", 51.57, 11.84, 12.11),
    ("jamba-1.5-large", 398.56, 93.6, 94.1),
])  # fmt: skip
def test_total_and_active(name: str, total: float, active: float, with_embeddings: float) -> None:
    found = counted(name)
    assert found.total / 1e9 == pytest.approx(total, abs=0.006)
    assert found.active / 1e9 == pytest.approx(active, abs=0.06)
    assert found.active_with_embeddings / 1e9 == pytest.approx(with_embeddings, abs=0.06)


def test_a_routed_expert_of_super_works_in_the_latent_width() -> None:
    # at the full width they would take 902 GB
    experts = counted("nemotron-3-super-120b-a12b").by_class[parts.ROUTED]
    assert experts.num_bytes / 1e9 == pytest.approx(225.5, abs=0.05)


def test_bits_by_class_of_the_mixed_release_of_super() -> None:
    found = counted("nemotron-3-super-120b-a12b-nvfp4")
    assert found.total == counted("nemotron-3-super-120b-a12b").total
    # four bits, a scale of eight for sixteen, and two float32 scales a matrix
    assert found.by_class[parts.ROUTED].bits == pytest.approx(4.5, abs=1e-3)
    assert 8 < found.by_class[parts.MAMBA].bits < 16
    assert found.by_class[parts.EMBEDDINGS].bits == 16
    assert found.by_class[parts.MTP].bits == pytest.approx(16, abs=1e-3)


def test_every_tensor_of_a_model_has_a_class() -> None:
    for name in ("tiny", "jamba-v0.1", "nemotron-nano-12b-v2-vl"):
        assert parts.LEFT_ASIDE not in counted(name).by_class


def test_a_folder_is_counted_like_the_model_it_opens_as(tiny_folder: Path) -> None:
    found = counted(str(tiny_folder))
    model = load_model(tiny_folder)
    held = {id(each): each.numel() for each in model.state_dict().values()}
    assert found.total + found.mtp == sum(held.values())


def test_what_is_said_of_a_folder(tiny_folder: Path) -> None:
    said = describe(find_source(str(tiny_folder)))
    assert said["family"] == "nemotron_h_omni"
    assert said["blocks"]["pattern"] == "M*-E"
    assert said["chat"]["images"] and not said["chat"]["thinking"]
    assert "config.json" in said["files"]
    assert said["bits_per_parameter"] == pytest.approx(32, abs=0.1)
    assert said["bytes"] < sum(said["files"].values())


@pytest.mark.parametrize("declared", [flat("MIXED_PRECISION"), None])
def test_a_quantized_folder_holds_the_same_parameters_in_fewer_bits(
    tiny_folder: Path, tmp_path: Path, declared: dict | None
) -> None:
    folder = tmp_path / "quantized"
    shutil.copytree(tiny_folder, folder)
    # the rows of the others are no multiple of sixteen
    by_name = {True: modelopt_nvfp4, False: fp8}
    quantize_folder(folder, fp8, by_name=lambda name: by_name[name.endswith("up_proj.weight")])
    if declared:
        declare(folder, declared)
    wide, narrow = (describe(find_source(str(each))) for each in (tiny_folder, folder))
    for name in ("total", "active", "mtp"):
        assert narrow["parameters"][name] == wide["parameters"][name]
    before, after = wide["parameters"]["by_class"], narrow["parameters"]["by_class"]
    # half of it at 4.5 bits and half at 8, and a float32 scale for each small matrix
    assert 6.25 < after["routed experts"]["bits"] < 6.5
    assert 8 < after["attention"]["bits"] < 8.2
    assert after["embeddings"] == before["embeddings"]
    assert narrow["bits_per_parameter"] < 27 < wide["bits_per_parameter"]


@pytest.mark.parametrize(("name", "sentence"), [
    ("nemotron-3-nano-30b", "did you mean 'nemotron-3-nano-30b-a3b', 'nemotron-3-nano-30b-a3b-nv"),
    ("Jamba-1.5-Largo", "did you mean 'jamba-1.5-large'"),
    ("super", "did you mean 'nemotron-3-super-120b-a12b' or 'nemotron-3-super-120b-a12b-nvfp4'?"),
    ("zzz", "no preset named 'zzz'; known are tiny, "),
    ("zzz", "nemotron-nano-9b-v2-nvfp4 (or give owner/name"),
])  # fmt: skip
def test_a_model_that_is_not_there(name: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match="There is no folder") as raised:
        find_source(name)
    assert sentence in str(raised.value)


def test_a_folder_that_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="has no config.json"):
        find_source(str(tmp_path))
