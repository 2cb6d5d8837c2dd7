"""Quantized models written again: packed ones as they were, expanded ones as plain weights."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.quantized_models import assert_close, build, logits, quantized
from torch import Tensor

from latentvlm.errors import ConfigError
from latentvlm.vlm.checkpoint import load_model, save_model
from latentvlm.vlm.quantize.packed import PackedWeight

EVERY_LAYOUT = ("fp8 flat", "fp8 rows", "fp8 blocks", "nvfp4", "mixed flat")
EVERY_LAYOUT += ("compressed fp8", "compressed nvfp4", "compressed int8", "compressed int4")
BYTES = {torch.float8_e4m3fn: torch.uint8}


def tensors_of(folder: Path) -> dict[str, Tensor]:
    found = {}
    for path in folder.glob("*.safetensors"):
        found |= load_file(path)
    return found


def assert_same(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        other = second[name]
        assert (tensor.dtype, tensor.shape) == (other.dtype, other.shape), name
        kind = BYTES.get(tensor.dtype, tensor.dtype)
        assert torch.equal(tensor.view(kind), other.view(kind)), name


@pytest.mark.parametrize(
    ("family", "form"),
    [("latent experts", form) for form in EVERY_LAYOUT]
    + [(family, "nvfp4 flat") for family in ("vision", "jamba", "granite")]
    + [
        ("granite", "fp8"),
        ("granite", "compressed int4"),
        ("granite", "compressed fp8"),
        ("dense granite", "fp8 rows"),
    ],
)
def test_packed_weights_are_written_as_they_were(tmp_path: Path, family: str, form: str) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    quantized(family, form, first)
    model = load_model(first)
    save_model(model, second, max_shard_bytes=40_000)
    assert (second / "model.safetensors.index.json").is_file()
    assert_same(tensors_of(first), tensors_of(second))
    for name in ("config.json", "hf_quant_config.json"):
        assert (first / name).is_file() == (second / name).is_file()
        if (first / name).is_file():
            assert json.loads((first / name).read_text()) == json.loads((second / name).read_text())
    assert_close(logits(load_model(second)), logits(model))


def test_what_is_declared_with_the_text_model_stays_there(tmp_path: Path) -> None:
    quantized("vision", "fp8 flat", tmp_path / "first")
    path = tmp_path / "first" / "config.json"
    values = json.loads(path.read_text())
    inner = next(key for key in ("text_config", "llm_config") if key in values)
    values[inner]["quantization_config"] = values.pop("quantization_config")
    path.write_text(json.dumps(values))
    save_model(load_model(tmp_path / "first"), tmp_path / "second")
    assert json.loads((tmp_path / "second" / "config.json").read_text()) == values


def test_an_expanded_model_is_written_without_a_declaration(tmp_path: Path) -> None:
    quantized("latent experts", "nvfp4", tmp_path)
    expanded = load_model(tmp_path, quantized="expand")
    save_model(expanded, tmp_path)
    assert "quantization_config" not in json.loads((tmp_path / "config.json").read_text())
    assert not (tmp_path / "hf_quant_config.json").exists()
    again = load_model(tmp_path)
    assert not any(isinstance(module, PackedWeight) for module in again.modules())
    assert_close(logits(again), logits(expanded))


def test_what_no_file_holds_is_not_written(tmp_path: Path) -> None:
    build("experts", tmp_path)
    model = load_model(tmp_path, quantized="experts-int8")
    with pytest.raises(ConfigError, match="up_proj was made INT8 when the model was opened"):
        save_model(model, tmp_path / "again")


def test_names_that_are_declared_otherwise_are_not_changed(tmp_path: Path) -> None:
    """`model.` in place of `backbone.` is read; written, the declaration would not fit it."""
    quantized("dense", "fp8", tmp_path)
    tensors = tensors_of(tmp_path)
    renamed = {name.replace("backbone.", "model."): each for name, each in tensors.items()}
    save_file(renamed, tmp_path / "model.safetensors")
    model = load_model(tmp_path)
    with pytest.raises(ConfigError, match=r"model\.layers.* is called backbone\..*expand"):
        save_model(model, tmp_path / "again")


LEAVES = ("k_scale", "v_scale")
CACHE_NAMES = {
    "modelopt": ("k_proj.k_scale", "v_proj.v_scale"),
    "attention module": ("k_scale", "v_scale"),
}


@pytest.mark.parametrize("names", CACHE_NAMES.values(), ids=CACHE_NAMES)
@pytest.mark.parametrize("choice", ["packed", "expand"])
def test_scales_of_the_cache_are_kept(tmp_path: Path, names: tuple[str, str], choice) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    quantized("vision", "fp8", first)
    tensors = tensors_of(first)
    mixer = "language_model.backbone.layers.1.mixer."
    scales = {mixer + names[0]: torch.tensor(0.01), mixer + names[1]: torch.tensor(1.0)}
    save_file(tensors | scales, first / "model.safetensors")
    save_model(load_model(first, quantized=choice), second)
    found = tensors_of(second)
    assert_same(
        scales, {name: found[name] for name in found if name.endswith(("k_scale", "v_scale"))}
    )
    kept = [load_model(folder, kv_cache="fp8", quantized=choice) for folder in (first, second)]
    assert_close(logits(kept[1]), logits(kept[0]))


def test_one_scale_for_both_is_written_as_two(tmp_path: Path) -> None:
    build("dense", tmp_path)
    tensors = tensors_of(tmp_path)
    mixer = "backbone.layers.1.mixer."
    path = tmp_path / "model.safetensors"
    save_file(tensors | {f"{mixer}kv_scale": torch.tensor(0.5)}, path)
    save_model(load_model(tmp_path), tmp_path)
    found = {name: float(each) for name, each in tensors_of(tmp_path).items() if "_scale" in name}
    assert found == {f"{mixer}k_proj.k_scale": 0.5, f"{mixer}v_proj.v_scale": 0.5}
