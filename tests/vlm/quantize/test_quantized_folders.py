"""Quantized folders of every format and family: what they hold is what the model computes with.

The folders are written by the plain writer of `support/quantized_folder.py`.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support import quantized_folder as write
from support.tiny_model import random_model, tiny_config
from torch import Tensor

import latentvlm
from latentvlm.errors import CheckpointError, ConfigError
from latentvlm.vlm.checkpoint import load_model, save_model
from latentvlm.vlm.checkpoint.bits import bits_on_disk
from latentvlm.vlm.checkpoint.families import family_of
from latentvlm.vlm.config import LanguageConfig
from latentvlm.vlm.language_model import LanguageModel
from latentvlm.vlm.model import VisionLanguageModel
from latentvlm.vlm.quantize.bits import bits_in_memory, bits_per_parameter, num_parameters
from latentvlm.vlm.quantize.packed import PackedWeight

Model = LanguageModel | VisionLanguageModel

FAMILIES = {
    "dense": {"hybrid_override_pattern": "M*-", "num_nextn_predict_layers": 0},
    "experts": {"hybrid_override_pattern": "ME*", "moe_latent_size": None},
    "latent experts": {"hybrid_override_pattern": "M*-E"},
    "vision": {"hybrid_override_pattern": "M*E"},
}


def algorithm_by_name(name: str) -> str:
    return "NVFP4" if ".experts." in name else "FP8"


def mixed_nested(folder: Path, meant: dict[str, Tensor]) -> None:
    layers = write.layers_of(meant, algorithm_by_name)
    values = write.nested("MIXED_PRECISION", quantized_layers=layers, kv_cache_quant_algo="FP8")
    write.declare(folder, values, file="hf_quant_config.json")


def mixed_flat(folder: Path, meant: dict[str, Tensor]) -> None:
    """The map of layers in the other file, as some releases have it."""
    mixed_nested(folder, meant)
    write.declare(folder, write.flat("MIXED_PRECISION", ignore=[]))


def mixed_flat_alone(folder: Path, meant: dict[str, Tensor]) -> None:
    layers = write.layers_of(meant, algorithm_by_name)
    write.declare(folder, write.flat("MIXED_PRECISION", ignore=[], quantized_layers=layers))


def in_file(values: dict) -> Callable[[Path, dict[str, Tensor]], None]:
    return lambda folder, meant: write.declare(folder, values, file="hf_quant_config.json")


def in_config(values: dict) -> Callable[[Path, dict[str, Tensor]], None]:
    return lambda folder, meant: write.declare(folder, values)


FORMATS: dict[str, tuple[Callable, Callable]] = {
    "fp8": (write.fp8, in_file(write.nested("FP8", exclude_modules=["lm_head"]))),
    "fp8 flat": (write.fp8, in_config(write.flat("FP8"))),
    "fp8 rows": (write.fp8_by_row, in_file(write.nested("fp8_per_channel_per_token"))),
    "fp8 blocks": (write.fp8_by_block, in_file(write.nested("FP8_PB_WO"))),
    "nvfp4": (write.modelopt_nvfp4, in_file(write.nested("NVFP4", group_size=16))),
    "nvfp4 flat": (write.modelopt_nvfp4_with_input_scale, in_config(write.flat("NVFP4"))),
    "w4a16": (write.modelopt_nvfp4, in_config(write.flat("W4A16_NVFP4", activations=False))),
    "w4a16 with input scales": (
        write.modelopt_nvfp4_with_input_scale,
        in_config(write.flat("NVFP4", activations=False)),
    ),
    "mixed": (write.mixed, mixed_nested),
    "mixed flat": (write.mixed, mixed_flat),
    "mixed flat alone": (write.mixed, mixed_flat_alone),
    "compressed fp8": (
        write.fp8_by_row_in_bfloat16,
        in_config(write.compressed("float-quantized")),
    ),
    "compressed nvfp4": (
        write.compressed_nvfp4,
        in_config(write.compressed("nvfp4-pack-quantized")),
    ),
    "nothing declared": (write.modelopt_nvfp4, lambda folder, meant: None),
}


def build(family: str, folder: Path) -> Model:
    """A random model in float32 of a family, saved; widths are multiples of 16 as NVFP4 needs."""
    config = tiny_config(moe_intermediate_size=48, **FAMILIES[family])
    model = random_model(config, seed=3)
    saved = model if family == "vision" else model.language_model
    save_model(saved, folder)
    return saved


def quantized(family: str, form: str, folder: Path) -> tuple[Model, dict[str, Tensor]]:
    """The unquantized model, and the weights that the quantized folder means."""
    model = build(family, folder)
    codec, declare = FORMATS[form]
    by_name = write.mixed if codec is write.mixed else None
    meant = write.quantize_folder(folder, codec, by_name=by_name)
    declare(folder, meant)
    return model, meant


def put(model: Model, meant: dict[str, Tensor]) -> Model:
    """The model with these weights instead of its own."""
    family, state = family_of(model.config), model.state_dict()
    for disk, weight in meant.items():
        place = family.place(disk)
        assert place is not None
        target = state[place.name]
        (target if place.expert is None else target[place.expert]).copy_(weight)
    return model


@torch.inference_mode()
def logits(model: Model, *, steps: int = 4) -> Tensor:
    """Of a prompt, and of a few steps after it."""
    trunk = model.language_model if isinstance(model, VisionLanguageModel) else model
    ids = torch.randint(20, 300, (24 + steps,), generator=torch.Generator().manual_seed(5))
    embeds, cache = trunk.embed(ids), trunk.allocate_cache(capacity=8)
    parts = [trunk(embeds[:24], cache=cache)]
    parts += [trunk(embeds[t : t + 1], cache=cache) for t in range(24, 24 + steps)]
    assert not isinstance(model, VisionLanguageModel) or len(picture_tokens(model))
    return trunk.logits(torch.cat(parts))


@torch.inference_mode()
def picture_tokens(model: VisionLanguageModel) -> Tensor:
    random = torch.Generator().manual_seed(7)
    return model.encode_images(torch.rand(64, 192, generator=random), torch.tensor([[8, 8]]))


def assert_close(ours: Tensor, theirs: Tensor) -> None:
    """Equal but for the order of sums: the lean step and the layers add up differently."""
    assert (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()


EVERY_FORMAT = [("latent experts", form) for form in FORMATS]
EVERY_FAMILY = [
    (family, form)
    for family in FAMILIES
    for form in ("fp8", "nvfp4 flat", "mixed", "compressed nvfp4")
    if family != "latent experts"
]


@pytest.mark.parametrize(("family", "form"), EVERY_FORMAT + EVERY_FAMILY)
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
    assert num_packed == len(meant)
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


def jamba(folder: Path) -> LanguageModel:
    """A small random Jamba in float32, saved: Mamba-1, gated MLPs and gated experts."""
    torch.manual_seed(4)
    model = LanguageModel(
        LanguageConfig(
            family="jamba",
            vocab_size=320,
            hidden_size=16,
            hybrid_override_pattern="m-*E",
            mamba_num_heads=32,
            mamba_head_dim=1,
            mamba_dt_rank=3,
            ssm_state_size=4,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
            intermediate_size=12,
            moe_intermediate_size=12,
            n_routed_experts=4,
            norm_topk_prob=False,
            router_score="softmax",
            mlp_hidden_act="swiglu",
            initializer_range=0.2,
        )
    ).eval()
    save_model(model, folder)
    return model


@torch.no_grad()
def test_jamba_in_fp8_and_with_experts_in_int8(tmp_path: Path) -> None:
    model = jamba(tmp_path)
    narrow = load_model(tmp_path, quantized="experts-int8")
    assert {each.name for each in bits_in_memory(narrow) if each.format == "INT8"} == {
        f"layers.3.mixer.experts.{name}_proj" for name in ("gate", "up", "down")
    }
    meant = write.quantize_folder(tmp_path, write.fp8)
    packed, expanded = load_model(tmp_path), load_model(tmp_path, quantized="expand")
    put(model, meant)
    for name, tensor in expanded.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name
    assert isinstance(packed, LanguageModel) and packed.is_packed
    assert_close(logits(packed), logits(model))
    assert_close(logits(expanded), logits(model))
    for name in ("gate_proj", "up_proj", "down_proj"):
        stack = getattr(narrow.get_submodule("layers.3.mixer.experts"), name)
        assert stack.matrix(2).shape == getattr(model.layers[3].mixer.experts, name)[2].shape


# ---- what is refused --------------------------------------------------------------------------

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
        r"in_proj\.weight_scale holds a scale that is no usable number",
    ),
    "an infinite scale": (
        lambda t: t[f"{IN_PROJ}.weight_scale_2"].fill_(float("inf")),
        r"in_proj\.weight_scale_2 holds a scale that is no usable number",
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
    for quantized in ("packed", "expand"):
        with pytest.raises(CheckpointError, match=words):
            load_model(tmp_path / "model", quantized=quantized)


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


def test_a_packed_model_is_not_saved(tmp_path: Path, nvfp4_folder: Path) -> None:
    with pytest.raises(ConfigError, match="expand"):
        save_model(load_model(nvfp4_folder), tmp_path)
    save_model(load_model(nvfp4_folder, quantized="expand"), tmp_path)
    assert "quantization_config" not in json.loads((tmp_path / "config.json").read_text())
    again = load_model(tmp_path)
    assert not any(isinstance(module, PackedWeight) for module in again.modules())


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
