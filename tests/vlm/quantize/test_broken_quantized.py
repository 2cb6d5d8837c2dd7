"""Quantized folders that are damaged or ask for what cannot be: one sentence that names it."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support import quantized_folder as write
from support.quantized_models import OTHERS, build, quantized
from support.tiny_model import random_model, tiny_config
from torch import Tensor

from latentvlm.errors import CheckpointError, ConfigError
from latentvlm.vlm.checkpoint import load_model, save_model
from latentvlm.vlm.checkpoint.bits import bits_on_disk
from latentvlm.vlm.language_model import LanguageModel

IN_PROJ = "backbone.layers.0.mixer.in_proj"
EXPERT = "backbone.layers.3.mixer.experts.2.up_proj"
QUERY = "backbone.layers.1.mixer.q_proj"


@pytest.fixture(scope="module")
def nvfp4_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nvfp4")
    quantized("latent experts", "nvfp4", folder)
    return folder


def as_fp8(tensors: dict[str, Tensor], module: str, shape: tuple[int, int]) -> None:
    for leaf in ("weight", "weight_scale", "weight_scale_2"):
        del tensors[f"{module}.{leaf}"]
    made = write.fp8(torch.randn(shape))
    tensors |= {f"{module}.{leaf}": part for leaf, part in made.tensors.items()}


def as_floats(tensors: dict[str, Tensor], module: str, shape: tuple[int, int]) -> None:
    for leaf in ("weight", "weight_scale", "weight_scale_2"):
        del tensors[f"{module}.{leaf}"]
    tensors[f"{module}.weight"] = torch.zeros(shape)


BROKEN: dict[str, tuple[Callable[[dict[str, Tensor]], object], str]] = {
    "no block scales": (
        lambda t: t.pop(f"{IN_PROJ}.weight_scale"),
        r"in_proj\.weight is U8, quantized, but .*in_proj\.weight_scale is missing",
    ),
    "no scale of the matrix": (
        lambda t: t.pop(f"{EXPERT}.weight_scale_2"),
        r"experts\.2\.up_proj\.weight is U8, .*up_proj\.weight_scale_2 is missing",
    ),
    "no codes": (lambda t: t.pop(f"{IN_PROJ}.weight"), r"no .*in_proj\.weight"),
    "codes of another width": (
        lambda t: t.update({f"{IN_PROJ}.weight": t[f"{IN_PROJ}.weight"][:, 1:].clone()}),
        r"in_proj\.weight holds \[\d+, 30\] but should \[\d+, 32\]",
    ),
    "scales of another width": (
        lambda t: t.update({f"{EXPERT}.weight_scale": torch.zeros(48, 3).to(torch.float8_e4m3fn)}),
        r"experts\.2\.up_proj\.weight_scale is \[48, 3\] but should be \[48, 1\]",
    ),
    "a scale a row for the matrix": (
        lambda t: t.update({f"{EXPERT}.weight_scale_2": torch.ones(48)}),
        r"weight_scale_2 is \[48\] but should be one number",
    ),
    "scales in floats": (
        lambda t: t.update({f"{EXPERT}.weight_scale": torch.ones(48, 1)}),
        r"weight_scale is F32, but a scale of NVFP4 there is F8_E4M3",
    ),
    "scales that are NaN": (
        lambda t: t[f"{IN_PROJ}.weight_scale"].view(torch.uint8).fill_(0x7F),
        r"layers\.0\.mixer\.in_proj\.weight_scale holds a scale that is no positive number",
    ),
    "a scale below zero": (
        lambda t: t[f"{EXPERT}.weight_scale"].view(torch.uint8)[3].fill_(0x80 | 0x38),
        r"experts\.2\.up_proj\.weight_scale holds a scale that is no positive number",
    ),
    "a scale of zero for what is not zero": (
        lambda t: t[f"{IN_PROJ}.weight_scale"].view(torch.uint8)[0, 1].fill_(0),
        r"in_proj\.weight_scale holds a scale that is no positive number",
    ),
    "a scale of the matrix below zero": (
        lambda t: t[f"{IN_PROJ}.weight_scale_2"].neg_(),
        r"in_proj\.weight_scale_2 holds a scale that is no positive number",
    ),
    "an infinite scale": (
        lambda t: t[f"{IN_PROJ}.weight_scale_2"].fill_(float("inf")),
        r"in_proj\.weight_scale_2 holds a scale that is no positive number",
    ),
    "an expert in fp8": (
        lambda t: as_fp8(t, EXPERT, (48, 16)),
        r"is stored in FP8, but .*hf_quant_config\.json says NVFP4",
    ),
    "an expert in floats": (
        lambda t: as_floats(t, EXPERT, (48, 16)),
        r"unlike.*experts\.0.* \(NVFP4 of ModelOpt\) and .*experts\.2\.up_proj\.weight \(floats\)",
    ),
    "a query in floats": (
        lambda t: as_floats(t, QUERY, (32, 32)),
        r"unlike.*k_proj\.weight \(NVFP4\) and .*q_proj\.weight \(floats\)",
    ),
    "a format nobody knows": (
        lambda t: t.update({f"{IN_PROJ}.weight": torch.zeros(2, 2).to(torch.float8_e5m2)}),
        r"in_proj\.weight is F8_E5M2, a quantized format that cannot be read",
    ),
    "a scale too many": (
        lambda t: t.update({f"{IN_PROJ}.weight_global_scale": torch.ones(1)}),
        r"weight_global_scale is no part of NVFP4",
    ),
    "input scales alone": (
        lambda t: t.update({"backbone.norm_f.input_scale": torch.ones(1)}),
        r"unexpected: backbone\.norm_f\.input_scale",
    ),
    "a scale of no attention layer": (
        lambda t: t.update({"backbone.layers.0.mixer.k_proj.k_scale": torch.ones(())}),
        r"k_scale, but that is no attention layer",
    ),
    "a cache scale of zero": (
        lambda t: t.update({"backbone.layers.1.mixer.k_proj.k_scale": torch.zeros(())}),
        r"k_scale in .* is no positive number",
    ),
}


@pytest.mark.parametrize("change", BROKEN)
def test_what_is_broken_is_named(tmp_path: Path, nvfp4_folder: Path, change: str) -> None:
    shutil.copytree(nvfp4_folder, tmp_path / "model")
    path = tmp_path / "model" / "model.safetensors"
    tensors = load_file(path)
    damage, words = BROKEN[change]
    damage(tensors)
    save_file(tensors, path)
    for choice in ("packed", "expand"):
        with pytest.raises(CheckpointError, match=words):
            load_model(tmp_path / "model", quantized=choice)


def test_a_truncated_file_is_named(tmp_path: Path, nvfp4_folder: Path) -> None:
    shutil.copytree(nvfp4_folder, tmp_path / "model")
    path = tmp_path / "model" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    for opened in (load_model, bits_on_disk):
        with pytest.raises(CheckpointError, match=r"model\.safetensors"):
            opened(tmp_path / "model")


def test_widths_that_nvfp4_cannot_hold(tmp_path: Path) -> None:
    save_model(random_model(tiny_config()).language_model, tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    name = "backbone.layers.3.mixer.experts.0.down_proj"
    tensors[f"{name}.weight"] = torch.zeros(16, 12, dtype=torch.uint8)
    tensors[f"{name}.weight_scale"] = torch.zeros(16, 2).to(torch.float8_e4m3fn)
    tensors[f"{name}.weight_scale_2"] = torch.ones(())
    save_file(tensors, path)
    with pytest.raises(CheckpointError, match=r"down_proj\.weight has 24 columns, which NVFP4"):
        load_model(tmp_path)


def test_choices_that_do_not_exist(tmp_path: Path, nvfp4_folder: Path) -> None:
    with pytest.raises(ConfigError, match="quantized is 'nf4'"):
        load_model(nvfp4_folder, quantized="nf4")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="kv_cache is 'int4'"):
        load_model(nvfp4_folder, kv_cache="int4")
    with pytest.raises(ConfigError, match="full precision, but .* in NVFP4; open it packed"):
        load_model(nvfp4_folder, quantized="experts-int8")
    build("dense", tmp_path)
    with pytest.raises(ConfigError, match="no experts"):
        load_model(tmp_path, quantized="experts-int8")


@pytest.mark.parametrize("value", [0.0, -0.01, float("nan"), float("inf")])
@pytest.mark.parametrize("form", ["fp8", "fp8 rows", "fp8 blocks"])
def test_scales_of_fp8_are_positive_numbers(tmp_path: Path, form: str, value: float) -> None:
    quantized("dense", form, tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    tensors[f"{IN_PROJ}.weight_scale"].flatten()[-1] = value
    save_file(tensors, path)
    with pytest.raises(CheckpointError, match=r"0\.mixer\.in_proj\.weight_scale holds a scale"):
        load_model(tmp_path)


def test_experts_of_int4_in_other_groups(tmp_path: Path) -> None:
    quantized("experts", "compressed int4", tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    name = "backbone.layers.1.mixer.experts.2.up_proj.weight_scale"
    tensors[name] = tensors[name][:, :1].clone()
    save_file(tensors, path)
    with pytest.raises(CheckpointError, match=r"experts\.2\.up_proj.* is \[48, 1\], but of other"):
        load_model(tmp_path)


def test_a_block_of_zeros_may_have_a_scale_of_zero(tmp_path: Path) -> None:
    quantized("dense", "nvfp4", tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    tensors[f"{IN_PROJ}.weight_scale"].view(torch.uint8)[2, 1] = 0
    tensors[f"{IN_PROJ}.weight"][2, 8:16] = 0x80  # zeros, some with a sign
    save_file(tensors, path)
    weight = load_model(tmp_path, quantized="expand").state_dict()["layers.0.mixer.in_proj.weight"]
    assert not weight[2, 16:32].any() and bool(weight[2].any())


def test_blocks_that_hold_rows_of_gate_and_up(tmp_path: Path) -> None:
    model = LanguageModel(replace(OTHERS["dense granite"], intermediate_size=96))
    save_model(model, tmp_path)
    write.quantize_folder(tmp_path, write.fp8_by_block)
    with pytest.raises(CheckpointError, match=r"input_linear\.weight_scale has .* rows of both"):
        load_model(tmp_path)


@pytest.mark.parametrize("leaf", ["weight_scale", "weight_scale_2"])
def test_scales_of_a_stack_that_do_not_fit(tmp_path: Path, leaf: str) -> None:
    quantized("granite", "nvfp4", tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    name = f"model.layers.0.block_sparse_moe.output_linear.{leaf}"
    tensors[name] = tensors[name][:2].clone()
    save_file(tensors, path)
    with pytest.raises(CheckpointError, match=rf"output_linear\.{leaf} is \[2.* but should be"):
        load_model(tmp_path)
