"""Jamba: its config.json read and written, its names, its gradients."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from latentvlm.errors import CheckpointError, ConfigError
from latentvlm.vlm.checkpoint import load_config, load_model, save_model
from latentvlm.vlm.checkpoint.jamba_config import config_from_json, config_to_json
from latentvlm.vlm.config import LanguageConfig
from latentvlm.vlm.language_model import LanguageModel

# Jamba v0.1, as released
V01 = {
    "architectures": ["JambaForCausalLM"],
    "attention_dropout": 0.0,
    "attn_layer_offset": 4,
    "attn_layer_period": 8,
    "bos_token_id": 1,
    "calc_logits_for_entire_prompt": False,
    "eos_token_id": [2, 518],
    "expert_layer_offset": 1,
    "expert_layer_period": 2,
    "hidden_act": "silu",
    "hidden_size": 4096,
    "initializer_range": 0.02,
    "intermediate_size": 14336,
    "mamba_conv_bias": True,
    "mamba_d_conv": 4,
    "mamba_d_state": 16,
    "mamba_dt_rank": 256,
    "mamba_expand": 2,
    "mamba_proj_bias": False,
    "max_position_embeddings": 262144,
    "model_type": "jamba",
    "num_attention_heads": 32,
    "num_experts": 16,
    "num_experts_per_tok": 2,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "output_router_logits": False,
    "pad_token_id": 0,
    "rms_norm_eps": 1e-06,
    "router_aux_loss_coef": 0.001,
    "sliding_window": None,
    "tie_word_embeddings": False,
    "use_cache": True,
    "use_mamba_kernels": True,
    "vocab_size": 65536,
}


def small(**more) -> LanguageConfig:
    values = {
        "family": "jamba",
        "vocab_size": 40,
        "hidden_size": 16,
        "hybrid_override_pattern": "m-*E",
        "mamba_num_heads": 32,
        "mamba_head_dim": 1,
        "mamba_dt_rank": 3,
        "ssm_state_size": 4,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "intermediate_size": 12,
        "moe_intermediate_size": 12,
        "n_routed_experts": 4,
        "mlp_hidden_act": "swiglu",
        "router_score": "softmax",
        "norm_topk_prob": False,
    }
    return LanguageConfig(**(values | more))


def test_the_released_configuration_comes_back() -> None:
    config = config_from_json(V01, strict=True)
    assert config.hybrid_override_pattern == "m-mEm-mE*-mEm-mE" * 4
    assert (config.mamba_inner_size, config.mamba_dt_rank) == (8192, 256)
    assert config.eos_token_id == (2, 518)
    written = {**config_to_json(config), "architectures": V01["architectures"]}
    assert written == V01


def test_the_rank_may_be_left_to_the_width() -> None:
    config = config_from_json({**V01, "mamba_dt_rank": "auto", "hidden_size": 4000})
    assert config.mamba_dt_rank == 250


def test_unknown_keys_are_kept_and_named() -> None:
    values = {**V01, "colour": "green"}
    with pytest.warns(UserWarning, match="colour"):
        config = config_from_json(values)
    assert config_to_json(config)["colour"] == "green"
    with pytest.raises(ConfigError, match="colour"):
        config_from_json(values, strict=True)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hidden_act": "gelu"}, "hidden_act 'gelu'"),
        ({"sliding_window": 4096}, "sliding_window"),
        ({"attn_layer_offset": 8}, "attn_layer_offset 8, which is not below"),
        ({"hidden_size": "wide"}, "hidden_size 'wide'"),
        ({"num_experts_per_tok": 17}, "num_experts_per_tok 17"),
    ],
)
def test_what_is_not_jamba_is_refused(values: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_from_json({**V01, **values})


@pytest.mark.parametrize(
    "pattern", ["m-", "*E", "m-m-*-", "mE*EmE*E", "m-mEm-mE*-mEm-mE", "*-*-*-", "mEm-mEm-"]
)
def test_any_regular_pattern_is_written(pattern: str) -> None:
    config = small(hybrid_override_pattern=pattern)
    assert config_from_json(config_to_json(config)).hybrid_override_pattern == pattern


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hybrid_override_pattern": "*-m-*-*-"}, r"layers \[0, 2, 3\] of 4 do not repeat"),
        ({"hybrid_override_pattern": "m-*"}, "pairs of one of"),
        ({"hybrid_override_pattern": "M-*-", "mamba_head_dim": 1}, "pairs of one of"),
        ({"router_score": "sigmoid"}, "router_score is 'sigmoid'"),
        ({"norm_topk_prob": True}, "norm_topk_prob is True"),
        ({"moe_intermediate_size": 8}, "moe_intermediate_size is 8"),
        ({"mlp_hidden_act": "relu2"}, "mlp_hidden_act is 'relu2'"),
        ({"mamba_num_heads": 24}, "no multiple of hidden_size"),
    ],
)
def test_what_the_format_cannot_say_is_not_written(changes: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_to_json(small(**changes))


def test_mamba1_is_not_written_as_nemotron_h(tmp_path: Path) -> None:
    plain = {"mlp_hidden_act": "relu2", "router_score": "sigmoid"}
    config = replace(small(hybrid_override_pattern="m*", **plain), family="nemotron_h")
    with pytest.raises(ConfigError, match="cannot hold Mamba-1"):
        save_model(LanguageModel(config), tmp_path)


def test_missing_and_foreign_tensors_are_named_as_on_disk(tmp_path: Path) -> None:
    save_model(LanguageModel(small()), tmp_path)
    assert isinstance(load_config(tmp_path, strict_config=True), LanguageConfig)
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    scan, expert = "model.layers.0.mamba.x_proj.weight", "model.layers.1.feed_forward.experts.2"
    kept = {name: value for name, value in tensors.items() if name != scan}
    del kept[f"{expert}.gate_proj.weight"]
    save_file(kept, path)
    with pytest.raises(CheckpointError, match=f"missing: {scan}, {expert}.gate_proj.weight"):
        load_model(tmp_path)
    for name in ("model.layers.0.self_attn.x_proj.weight", "model.layers.2.norm.weight"):
        save_file({**tensors, name: torch.zeros(2)}, path)
        with pytest.raises(CheckpointError, match=f"unexpected tensors: {name}"):
            load_model(tmp_path)


def test_a_bfloat16_model_is_written_and_read(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = LanguageModel(small()).eval()
    save_model(model, tmp_path, dtype=torch.bfloat16)
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == "bfloat16"
    again = load_model(tmp_path)
    ids = torch.arange(30)
    with torch.inference_mode():
        narrow = again.logits(again(again.embed(ids)))
        exact = model.logits(model(model.embed(ids)))
    assert (narrow - exact).abs().max() < 0.03 * exact.abs().max()


def test_every_parameter_gets_a_gradient() -> None:
    torch.manual_seed(0)
    model = LanguageModel(small(hybrid_override_pattern="mE*-"))
    cu_seqlens = torch.tensor([0, 20, 64], dtype=torch.int32)
    hidden = model(model.embed(torch.randint(0, 40, (64,))), cu_seqlens=cu_seqlens)
    model.logits(hidden).logsumexp(-1).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name
