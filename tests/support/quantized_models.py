"""Small random models of every family, and quantized folders of them in every format."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from latentvlm.vlm.checkpoint import save_model
from latentvlm.vlm.checkpoint.families import family_of
from latentvlm.vlm.config import LanguageConfig, Multipliers, Rotary
from latentvlm.vlm.language_model import LanguageModel
from latentvlm.vlm.model import VisionLanguageModel

from . import quantized_folder as write
from .tiny_model import random_model, tiny_config

Model = LanguageModel | VisionLanguageModel

NEMOTRON = {
    "dense": {"hybrid_override_pattern": "M*-", "num_nextn_predict_layers": 0},
    "experts": {"hybrid_override_pattern": "ME*", "moe_latent_size": None},
    "latent experts": {"hybrid_override_pattern": "M*-E"},
    "vision": {"hybrid_override_pattern": "M*E"},
}
_SMALL: dict[str, Any] = {
    "vocab_size": 320,
    "hidden_size": 32,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "intermediate_size": 48,
    "mlp_hidden_act": "swiglu",
    "initializer_range": 0.2,
}
_MAMBA_2 = {"mamba_num_heads": 8, "mamba_head_dim": 8, "n_groups": 1, "ssm_state_size": 8}
_GRANITE = {"multipliers": Multipliers(embedding=3, residual=0.5, attention=0.1, logits_divisor=2)}
OTHERS = {
    "jamba": LanguageConfig(
        family="jamba",
        hybrid_override_pattern="m-*E",
        mamba_num_heads=32,
        mamba_head_dim=1,
        mamba_dt_rank=16,
        ssm_state_size=8,
        moe_intermediate_size=48,
        n_routed_experts=4,
        norm_topk_prob=False,
        router_score="softmax",
        **_SMALL,
    ),
    "bamba": LanguageConfig(
        family="bamba",
        hybrid_override_pattern="M-*-",
        rotary=Rotary(dims=8),
        **_SMALL,
        **_MAMBA_2,
    ),
    "granite": LanguageConfig(
        family="granitemoehybrid",
        hybrid_override_pattern="ME*E",
        moe_intermediate_size=16,
        moe_shared_expert_intermediate_size=48,
        n_routed_experts=3,
        num_experts_per_tok=2,
        router_score="softmax",
        **_GRANITE,
        **_SMALL,
        **_MAMBA_2,
    ),
    "dense granite": LanguageConfig(
        family="granitemoehybrid_dense",
        hybrid_override_pattern="M-*-",
        moe_shared_expert_intermediate_size=48,
        router_score="softmax",
        **_GRANITE,
        **_SMALL,
        **_MAMBA_2,
    ),
}


def _algorithm_by_name(name: str) -> str:
    return "NVFP4" if ".experts." in name else "FP8"


def mixed_nested(folder: Path, meant: dict[str, Tensor]) -> None:
    layers = write.layers_of(meant, _algorithm_by_name)
    values = write.nested("MIXED_PRECISION", quantized_layers=layers, kv_cache_quant_algo="FP8")
    write.declare(folder, values, file="hf_quant_config.json")


def mixed_flat(folder: Path, meant: dict[str, Tensor]) -> None:
    """The map of layers in the other file, as some releases have it."""
    mixed_nested(folder, meant)
    write.declare(folder, write.flat("MIXED_PRECISION", ignore=[]))


def mixed_flat_alone(folder: Path, meant: dict[str, Tensor]) -> None:
    layers = write.layers_of(meant, _algorithm_by_name)
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
    "compressed int8": (write.int8_by_row, in_config(write.compressed("int-quantized"))),
    "compressed int4": (write.int4_by_group, in_config(write.compressed("pack-quantized"))),
    "nothing declared": (write.modelopt_nvfp4, lambda folder, meant: None),
}


def build(family: str, folder: Path) -> Model:
    """A random model in float32 of a family, saved; widths are multiples of 16 as NVFP4 needs."""
    if family in OTHERS:
        torch.manual_seed(4)
        saved = LanguageModel(OTHERS[family]).eval()
    else:
        model = random_model(tiny_config(moe_intermediate_size=48, **NEMOTRON[family]), seed=3)
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
        halves = family.halves(disk)
        parts = zip(halves, weight.chunk(2, -2), strict=True) if halves else [(disk, weight)]
        for name, part in parts:
            place = family.place(name)
            assert place is not None
            target = state[place.name]
            (target if place.expert is None else target[place.expert]).copy_(part)
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
