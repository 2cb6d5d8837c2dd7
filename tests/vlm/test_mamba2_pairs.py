"""Bamba and Granite 4: what their config.json may say, and what it cannot."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from latentvlm.errors import CheckpointError, ConfigError
from latentvlm.vlm.checkpoint import (
    bamba_config,
    granitemoehybrid_config,
    load_config,
    load_model,
    save_model,
)
from latentvlm.vlm.config import LanguageConfig, Multipliers, Rotary
from latentvlm.vlm.language_model import LanguageModel

BAMBA = {
    "model_type": "bamba",
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "attn_layer_indices": [1],
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "mamba_n_heads": 8,
    "rope_theta": 5000.0,
}


def test_bamba_is_read_and_written() -> None:
    config = bamba_config.config_from_json(BAMBA, strict=True)
    assert config.hybrid_override_pattern == "M-*-M-"
    assert config.rotary == Rotary(dims=8, theta=5000.0)
    assert config.mamba_head_dim == 16
    assert bamba_config.config_from_json(bamba_config.config_to_json(config)) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rope_scaling": {"type": "linear", "factor": 2}}, "rope_scaling"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "rope_type 'yarn'"),
        ({"partial_rotary_factor": 1.0}, "partial_rotary_factor 1.0"),
        ({"mamba_d_head": 10}, "mamba_n_heads 8 of 10 channels"),
        ({"hidden_act": "gelu"}, "hidden_act 'gelu'"),
    ],
)
def test_what_is_not_bamba_is_refused(values: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        bamba_config.config_from_json({**BAMBA, **values})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rotary": Rotary(dims=16)}, "rotary is"),
        ({"rotary": None}, "rotary is None"),
        ({"multipliers": Multipliers(residual=0.5)}, "multipliers is"),
        ({"hybrid_override_pattern": "M*-"}, "pairs of one of"),
    ],
)
def test_what_bamba_cannot_say_is_not_written(changes: dict, message: str) -> None:
    config = bamba_config.config_from_json(BAMBA)
    values = {name: getattr(config, name) for name in config.__dataclass_fields__}
    with pytest.raises(ConfigError, match=message):
        bamba_config.config_to_json(LanguageConfig(**(values | changes)))


GRANITE = {
    "model_type": "granitemoehybrid",
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "layer_types": ["mamba", "attention"],
    "num_attention_heads": 2,
    "mamba_n_heads": 4,
    "mamba_d_state": 4,
    "num_local_experts": 3,
    "intermediate_size": 6,
    "shared_intermediate_size": 10,
    "embedding_multiplier": 12,
    "residual_multiplier": 0.22,
    "attention_multiplier": 0.015625,
    "logits_scaling": 8,
    "position_embedding_type": "nope",
    "normalization_function": "rmsnorm",
}


@pytest.mark.parametrize("experts", [3, 0])
def test_granite_is_read_and_written(experts: int) -> None:
    values = {**GRANITE, "num_local_experts": experts}
    config = granitemoehybrid_config.config_from_json(values, strict=True)
    assert config.hybrid_override_pattern == ("ME*E" if experts else "M-*-")
    assert config.rotary is None
    assert config.multipliers == Multipliers(
        embedding=12, residual=0.22, attention=0.015625, logits_divisor=8
    )
    written = granitemoehybrid_config.config_to_json(config)
    assert granitemoehybrid_config.config_from_json(written) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"layer_types": ["mamba"]}, "layer_types"),
        ({"layer_types": ["mamba", "moe"]}, "layer_types"),
        ({"position_embedding_type": "alibi"}, "position_embedding_type 'alibi'"),
        ({"normalization_function": "layernorm"}, "normalization_function 'layernorm'"),
    ],
)
def test_what_is_not_granite_is_refused(values: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        granitemoehybrid_config.config_from_json({**GRANITE, **values})


def test_gate_and_up_are_one_tensor_on_disk(tmp_path: Path) -> None:
    config = granitemoehybrid_config.config_from_json(GRANITE)
    save_model(LanguageModel(config), tmp_path)
    assert load_config(tmp_path, strict_config=True) == config
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    fused = "model.layers.1.block_sparse_moe.input_linear.weight"
    assert tensors[fused].shape == (3, 12, 16)
    assert not [name for name in tensors if "gate_proj" in name or "up_proj" in name]
    save_file({name: value for name, value in tensors.items() if name != fused}, path)
    with pytest.raises(CheckpointError, match=f"missing: {fused}"):
        load_model(tmp_path)
    save_file({**tensors, fused: torch.zeros(3, 10, 16)}, path)
    with pytest.raises(CheckpointError, match="misshapen"):
        load_model(tmp_path)
