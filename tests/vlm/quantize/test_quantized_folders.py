"""Quantized folders of every format and family: what they hold is what the model computes with.

The folders are written by the plain writer of `support/quantized_folder.py`.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support import quantized_folder as write
from support.quantized_models import (
    FORMATS,
    NEMOTRON,
    OTHERS,
    assert_close,
    build,
    logits,
    picture_tokens,
    put,
    quantized,
)
from support.tiny_model import random_model, tiny_config

import latentvlm
from latentvlm.vlm.checkpoint import load_model, save_model
from latentvlm.vlm.checkpoint.bits import bits_on_disk
from latentvlm.vlm.checkpoint.families import family_of
from latentvlm.vlm.language_model import LanguageModel
from latentvlm.vlm.model import VisionLanguageModel
from latentvlm.vlm.quantize.bits import bits_in_memory, bits_per_parameter, num_parameters
from latentvlm.vlm.quantize.packed import PackedWeight

EVERY_FORMAT = [("latent experts", form) for form in FORMATS]
EVERY_FAMILY = [
    (family, form)
    for family in NEMOTRON
    for form in ("fp8", "nvfp4 flat", "mixed", "compressed nvfp4")
    if family != "latent experts"
]
EVERY_OTHER = [(family, form) for family in OTHERS for form in ("fp8", "compressed nvfp4")]
# gate and up in one tensor, experts in one stack
FUSED = [
    ("granite", form)
    for form in ("nvfp4 flat", "fp8 rows", "fp8 blocks", "compressed fp8", "compressed int8")
]
FUSED += [("dense granite", "fp8 rows")]


@pytest.mark.parametrize(("family", "form"), EVERY_FORMAT + EVERY_FAMILY + EVERY_OTHER + FUSED)
@torch.no_grad()
def test_packed_and_expanded_are_the_weights_that_are_meant(
    tmp_path: Path, family: str, form: str
) -> None:
    plain, meant = quantized(family, form, tmp_path)
    assert meant
    reference = put(plain, meant).state_dict()
    packed, expanded = load_model(tmp_path), load_model(tmp_path, quantized="expand")
    assert packed.config == expanded.config == plain.config
    for name, tensor in expanded.state_dict().items():
        assert torch.equal(tensor, reference[name]), name
    modules = dict(packed.named_modules())
    num_packed = 0
    for name, tensor in reference.items():
        module = modules.get(name)
        if isinstance(module, PackedWeight):
            num_packed += tensor.shape[0] if tensor.dim() == 3 else 1
            wide = (
                module.matrix()
                if tensor.dim() == 2
                else torch.stack([module.matrix(e) for e in range(len(tensor))])
            )
            assert module.shape == tensor.shape and torch.equal(wide, tensor), name
        else:
            assert torch.equal(packed.state_dict()[name], tensor), name
    halves = family_of(plain.config).halves
    matrices = [
        (2 if halves(disk) else 1) * (len(weight) if weight.dim() == 3 else 1)
        for disk, weight in meant.items()
    ]
    assert num_packed == sum(matrices)
    expected = logits(plain)
    assert_close(logits(expanded), expected)
    assert_close(logits(packed), expected)
    if isinstance(packed, VisionLanguageModel) and isinstance(plain, VisionLanguageModel):
        assert torch.equal(picture_tokens(packed), picture_tokens(plain))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@torch.no_grad()
def test_number_formats_of_the_model(tmp_path: Path, dtype: torch.dtype) -> None:
    """A BF16 release: packed weights are rounded to the model's format as expanded ones are."""
    model = random_model(tiny_config(moe_intermediate_size=48)).language_model
    save_model(model, tmp_path, dtype=torch.bfloat16)
    meant = write.quantize_folder(tmp_path, write.modelopt_nvfp4)
    packed = load_model(tmp_path, dtype=dtype)
    expanded = load_model(tmp_path, dtype=dtype, quantized="expand")
    assert isinstance(packed, LanguageModel) and isinstance(expanded, LanguageModel)
    name = "backbone.layers.0.mixer.in_proj.weight"
    assert torch.equal(expanded.layers[0].mixer.in_proj.weight, meant[name].to(dtype))
    ours, theirs = logits(packed), logits(expanded)
    # bfloat16: the two ways round at different places, by one part in 256 each
    limit = 1e-5 if dtype == torch.float32 else 0.03
    assert (ours - theirs).abs().max() < limit * theirs.abs().max()
    before = packed.state_dict()
    packed.to(torch.float16)
    for key, tensor in packed.state_dict().items():
        kept = key.endswith(("codes", "block_scales", "tensor_scale"))
        assert tensor.dtype == (before[key].dtype if kept else torch.float16), key


def test_the_head_may_be_quantized_and_the_draft_head_not(tmp_path: Path) -> None:
    model = build("latent experts", tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    made = write.modelopt_nvfp4(tensors.pop("lm_head.weight"))
    save_file(tensors | {f"lm_head.{leaf}": part for leaf, part in made.tensors.items()}, path)
    packed = load_model(tmp_path)
    assert isinstance(packed, LanguageModel) and isinstance(packed.lm_head.weight, PackedWeight)
    assert packed.mtp is not None and packed.prepare_for_decoding() is packed
    assert_close(logits(packed), logits(put(model, {"lm_head.weight": made.weight})))


def test_bits(tmp_path: Path) -> None:
    model, meant = quantized("latent experts", "nvfp4", tmp_path)
    packed, expanded = load_model(tmp_path), load_model(tmp_path, quantized="expand")
    total = sum(parameter.numel() for parameter in model.parameters())
    assert num_parameters(packed) == num_parameters(expanded) == total
    assert bits_per_parameter(bits_in_memory(expanded)) == 32
    assert bits_per_parameter([]) == 0
    (in_proj,) = [b for b in bits_in_memory(packed) if b.name == "layers.0.mixer.in_proj.weight"]
    assert in_proj.format == "NVFP4"
    # a code each, a scale of 8 bits for 16 of them, one of 32 bits for all
    assert in_proj.bits_per_parameter == 4 + 8 / 16 + 32 / in_proj.num_parameters
    on_disk = {each.name: each for each in bits_on_disk(tmp_path)}
    assert {name for name, each in on_disk.items() if each.format == "NVFP4"} == meant.keys()
    disk = on_disk["backbone.layers.0.mixer.in_proj.weight"]
    assert (disk.num_parameters, disk.num_bytes) == (in_proj.num_parameters, in_proj.num_bytes)
    buffers = sum(buffer.numel() for name, buffer in model.named_buffers())
    assert sum(each.num_parameters for each in on_disk.values()) == total + buffers


@torch.no_grad()
def test_experts_in_int8(tmp_path: Path) -> None:
    model = build("vision", tmp_path)
    assert isinstance(model, VisionLanguageModel)
    experts = model.language_model.layers[2].mixer.experts
    experts.up_proj[1, 3] = 0
    save_model(model, tmp_path)
    packed = load_model(tmp_path, quantized="experts-int8")
    assert isinstance(packed, VisionLanguageModel)
    formats = {each.format for each in bits_in_memory(packed)}
    assert formats == {"INT8", "F32"}
    for name in ("up_proj", "down_proj"):
        stack = getattr(experts, name)
        scale = stack.abs().amax(-1, keepdim=True) / 127
        scale[scale == 0] = 1
        rounded = (stack / scale).round() * scale
        weight = getattr(packed.language_model.layers[2].mixer.experts, name)
        wide = torch.stack([weight.matrix(e) for e in range(4)])
        assert torch.equal(wide, rounded)
        stack.copy_(rounded)
    assert_close(logits(packed), logits(model))
    assert (load_model(tmp_path).state_dict().keys() - packed.state_dict().keys()) == {
        f"language_model.{module}.mixer.experts.{name}"
        for module in ("layers.2", "mtp.layers.1")
        for name in ("up_proj", "down_proj")
    }


@torch.no_grad()
def test_jamba_with_experts_in_int8(tmp_path: Path) -> None:
    model = build("jamba", tmp_path)
    narrow = load_model(tmp_path, quantized="experts-int8")
    assert {each.name for each in bits_in_memory(narrow) if each.format == "INT8"} == {
        f"layers.3.mixer.experts.{name}_proj" for name in ("gate", "up", "down")
    }
    for name in ("gate_proj", "up_proj", "down_proj"):
        stack = getattr(narrow.get_submodule("layers.3.mixer.experts"), name)
        whole = getattr(model.get_submodule("layers.3.mixer.experts"), name)
        assert (stack.matrix(2) - whole[2]).abs().max() <= whole[2].abs().max() / 254


def test_a_user_opens_it(tmp_path: Path, tiny_folder: Path) -> None:
    shutil.copytree(tiny_folder, tmp_path / "model")
    write.quantize_folder(tmp_path / "model", write.fp8)
    write.declare(tmp_path / "model", write.flat("FP8"))
    short = latentvlm.GenerationConfig(max_tokens=6)
    picture = np.full((64, 96, 3), 200, np.uint8)
    answers = []
    for choice in ("packed", "expand"):
        vlm = latentvlm.load(tmp_path / "model", device="cpu", quantized=choice)
        answers.append(vlm.ask("What is the total?", picture, generation=short).text)
        assert ("bits each" in repr(vlm)) == (choice == "packed")
        assert repr(vlm).startswith(f"VLM({num_parameters(vlm.model) / 1e6:.1f}M parameters")
    assert answers[0] == answers[1]
    narrow = latentvlm.load(tmp_path / "model", device="cpu", kv_cache="fp8")
    assert narrow.ask("What is the total?", generation=short).usage.answer_tokens == 6


@pytest.mark.slow
@pytest.mark.parametrize("form", ["compressed fp8", "compressed nvfp4"])
@torch.no_grad()
def test_transformers_reads_the_same_of_a_dense_model(tmp_path: Path, form: str) -> None:
    """Dense only: transformers reads quantized experts of this family wrongly."""
    from transformers import AutoModelForCausalLM

    plain, _ = quantized("dense", form, tmp_path)
    assert isinstance(plain, LanguageModel)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.bfloat16).eval()
    ours = load_model(tmp_path, dtype=torch.bfloat16)
    assert isinstance(ours, LanguageModel)
    ids = torch.randint(20, 300, (24,), generator=torch.Generator().manual_seed(5))
    expected = theirs(ids[None]).logits[0].float()
    scale = expected.abs().max()
    # bfloat16 throughout: a few roundings of one part in 256 on either side
    assert (ours.logits(ours(ours.embed(ids))) - expected).abs().max() < 0.03 * scale
    unquantized = plain.logits(plain(plain.embed(ids)))
    assert (unquantized - expected).abs().max() > 0.03 * scale
