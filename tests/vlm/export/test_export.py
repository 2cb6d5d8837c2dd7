"""What is written: opened by us, by compressed-tensors and by transformers, as what was meant."""

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support.quantized_folder import (
    plain_nvfp4_dequantize,
    plain_nvfp4_quantize,
)

from latentvlm.vlm.checkpoint import load_model
from latentvlm.vlm.checkpoint.shards import ShardReader
from latentvlm.vlm.export.source import WeightSource
from latentvlm.vlm.quantize.declared_files import read_declared

RECIPES = [
    ("nano-nvfp4", "modelopt"),
    ("super-nvfp4", "modelopt"),
    ("super-nvfp4", "compressed-tensors"),
    ("nano-vl-fp8", "compressed-tensors"),
    ("cpu-int4", "compressed-tensors"),
]


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        found |= load_file(path)
    return found


@pytest.mark.parametrize(("recipe", "layout"), RECIPES)
def test_it_is_proven_and_opens(exported, original: Path, recipe: str, layout: str) -> None:
    folder, made = exported(recipe, layout)
    assert (
        made.proof.holds and json.loads((folder / "proof.json").read_text())["verdict"] == "proven"
    )
    assert "PROVEN" in (folder / "proof.md").read_text()
    assert (folder / "tokenizer.json").read_bytes() == (original / "tokenizer.json").read_bytes()
    assert made.proof.bits < made.proof.bits_before == pytest.approx(16, abs=0.1)
    assert {len(made.proof.layers)} == {4} and 0 <= made.proof.logits["kl"] < 0.2
    model, wide = load_model(folder), load_model(folder, quantized="expand", dtype=torch.float32)
    assert model.language_model.is_packed  # type: ignore[union-attr]
    source = WeightSource(original)
    for name, weight in wide.state_dict().items():
        form = made.plan.recipe.format_of(name, source.text.hybrid_override_pattern)
        if source.holds(name) and (form is None or name.endswith("bias")):
            assert torch.equal(weight, source.read(name).float()), name
    assert len(list(folder.glob("*.safetensors"))) > 1 and not list(folder.parent.glob(".*"))


def test_modelopt_nvfp4_is_the_plain_codec(exported, original: Path) -> None:
    folder, _ = exported("nano-nvfp4", "modelopt")
    written, before = tensors_of(folder), tensors_of(original)
    name = "language_model.backbone.layers.2.mixer.up_proj"
    codes, scales, tensor_scale = plain_nvfp4_quantize(before[f"{name}.weight"].float())
    assert torch.equal(written[f"{name}.weight"], codes)
    assert torch.equal(written[f"{name}.weight_scale"].float(), scales.float())
    assert written[f"{name}.weight_scale_2"].shape == ()
    assert torch.equal(written[f"{name}.weight_scale_2"], tensor_scale)
    wide = load_model(folder, quantized="expand", dtype=torch.float32).state_dict()
    plain = plain_nvfp4_dequantize(codes, scales, tensor_scale)
    assert torch.equal(wide["language_model.layers.2.mixer.up_proj.weight"], plain)
    # the Mamba layer right before attention stays, attention and the draft head too
    assert written["language_model.backbone.layers.0.mixer.in_proj.weight"].dtype == torch.bfloat16
    assert written["language_model.backbone.layers.1.mixer.q_proj.weight"].dtype == torch.bfloat16
    assert not [n for n in written if "mtp" in n and "scale" in n]


def test_scales_of_activations_and_caches_are_what_calibration_saw(exported) -> None:
    folder, made = exported("super-nvfp4", "modelopt")
    written, found = tensors_of(folder), made.calibration
    prefix, ours = "language_model.backbone.layers", "language_model.layers"
    seen = found.largest_inputs[f"{ours}.0.mixer.in_proj.weight"]
    assert written[f"{prefix}.0.mixer.in_proj.input_scale"].item() == pytest.approx(seen / 448)
    of_experts = [v for k, v in found.largest_inputs.items() if f"{ours}.3.mixer.experts.up" in k]
    scales = [written[f"{prefix}.3.mixer.experts.{e}.up_proj.input_scale"].item() for e in range(4)]
    assert scales == pytest.approx([max(of_experts) / 2688] * 4)
    for which, seen in (("k", found.largest_keys[1]), ("v", found.largest_values[1])):
        scale = written[f"{prefix}.1.mixer.{which}_proj.{which}_scale"].item()
        assert scale == pytest.approx(seen / 448)
    assert sum(found.expert_tokens[3]) == 2 * found.num_tokens
    model = load_model(folder, kv_cache="fp8")
    mixer = model.language_model.layers[1].mixer  # type: ignore[union-attr]
    assert mixer.k_scale == pytest.approx(found.largest_keys[1] / 448)


def test_the_json_of_modelopt(exported) -> None:
    folder, _ = exported("super-nvfp4", "modelopt")
    values = json.loads((folder / "config.json").read_text())["quantization_config"]
    nested = json.loads((folder / "hf_quant_config.json").read_text())
    assert values["quant_method"] == "modelopt" and values["quant_algo"] == "MIXED_PRECISION"
    assert values["kv_cache_scheme"] == {"dynamic": False, "num_bits": 8, "type": "float"}
    assert nested["quantization"]["kv_cache_quant_algo"] == "FP8"
    layers = nested["quantization"]["quantized_layers"]
    assert layers == values["quantized_layers"]
    experts = {m: v for m, v in layers.items() if ".experts." in m}
    assert len(experts) == 8
    assert all(v == {"quant_algo": "NVFP4", "group_size": 16} for v in experts.values())
    declared = read_declared(folder)
    assert declared is not None
    with ShardReader(folder) as reader:
        kept = [n for n in reader.files if n.endswith(".weight") and reader.dtype(n) == "BF16"]
    assert len(kept) > 30
    assert all(declared.algorithm_of(name.removesuffix(".weight")) is None for name in kept)
    folder, _ = exported("nano-nvfp4", "modelopt")
    single = json.loads((folder / "hf_quant_config.json").read_text())["quantization"]
    assert single["quant_algo"] == "NVFP4" and single["group_size"] == 16
    assert "vision_model*" in single["exclude_modules"] and "mtp*" in single["exclude_modules"]
    assert not any(pattern.startswith("language_model*") for pattern in single["exclude_modules"])


@pytest.mark.parametrize("recipe", ["super-nvfp4", "nano-vl-fp8", "cpu-int4"])
def test_compressed_tensors_decompresses_to_the_same_weights(exported, recipe: str) -> None:
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationConfig, QuantizationScheme

    folder, made = exported(recipe, "compressed-tensors")
    values = json.loads((folder / "config.json").read_text())["quantization_config"]
    config = QuantizationConfig.model_validate(values)
    written = tensors_of(folder)
    source = WeightSource(folder)
    checked = 0
    for entry in made.plan.entries:
        if entry.form is None:
            continue
        scheme = next(
            scheme
            for scheme in config.config_groups.values()
            if isinstance(scheme, QuantizationScheme)
            and source.declared is not None
            and _is_target(entry.module, scheme.targets)
        )
        parts = {
            spec.name.rpartition(".")[2]: written[spec.name]
            for spec in entry.specs
            if not spec.name.endswith("input_scale")
        }
        compressor = BaseCompressor.get_value_from_registry(scheme.format)
        theirs = compressor.decompress(parts, scheme)["weight"].float()
        name, expert = entry.parts[0]
        ours = source.read(name, expert)
        # they widen into the scales' number format, which may be bfloat16
        torch.testing.assert_close(theirs, ours, rtol=2**-7, atol=1e-6)
        checked += 1
    assert checked == len(made.plan.formats) > 5


def _is_target(module: str, targets: list[str]) -> bool:
    import re

    return any(
        target == "Linear" or re.match(target.removeprefix("re:"), module) for target in targets
    )


def test_weights_that_readers_join_share_their_scale(exported) -> None:
    folder, made = exported("nano-vl-fp8", "compressed-tensors")
    written = tensors_of(folder)
    for kind in ("weight_scale", "input_scale"):
        found = {
            written[f"language_model.backbone.layers.1.mixer.{p}_proj.{kind}"].item() for p in "qkv"
        }
        assert len(found) == 1 and math.isfinite(found.pop())
    largest = max(
        made.calibration.largest_inputs[f"language_model.layers.1.mixer.{p}_proj.weight"]
        for p in "qkv"
    )
    scale = written["language_model.backbone.layers.1.mixer.q_proj.input_scale"].item()
    assert scale == pytest.approx(largest / 448)
