"""`config.json`, old style and new, to a configuration and back."""

import json
import math
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from support.tiny_model import tiny_config

from latentvlm.errors import CheckpointError, ConfigError
from latentvlm.vlm.checkpoint import load_config
from latentvlm.vlm.checkpoint.nemotron_h_config import config_from_json, config_to_json
from latentvlm.vlm.checkpoint.nemotron_h_omni_config import config_from_json as omni_from_json
from latentvlm.vlm.checkpoint.nemotron_h_omni_config import config_to_json as omni_to_json
from latentvlm.vlm.config import LanguageConfig, VisionLanguageConfig

# Every key of a released Nano configuration.
RELEASED = """{"architectures":["NemotronHForCausalLM"],"attention_bias":false,
 "attention_dropout":0.0,"auto_map":{"AutoConfig":"configuration_nemotron_h.NemotronHConfig"},
 "bos_token_id":1,"chunk_size":128,"conv_kernel":4,"eos_token_id":2,"expand":2,"head_dim":128,
 "hidden_dropout":0.0,"hidden_size":2688,
 "hybrid_override_pattern":"MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
 "initializer_range":0.02,"intermediate_size":1856,"layer_norm_epsilon":1e-05,
 "mamba_head_dim":64,"mamba_hidden_act":"silu","mamba_num_heads":64,"mamba_proj_bias":false,
 "mamba_ssm_cache_dtype":"float32","max_position_embeddings":262144,"mlp_bias":false,
 "mlp_hidden_act":"relu2","model_type":"nemotron_h","moe_intermediate_size":1856,
 "moe_shared_expert_intermediate_size":3712,"n_group":1,"n_groups":8,"n_routed_experts":128,
 "n_shared_experts":1,"norm_eps":1e-05,"norm_topk_prob":true,"num_attention_heads":32,
 "num_experts_per_tok":6,"num_hidden_layers":52,"num_key_value_heads":2,"num_logits_to_keep":1,
 "pad_token_id":0,"partial_rotary_factor":1.0,"rescale_prenorm_residual":true,
 "residual_in_fp32":false,"rope_theta":10000,"routed_scaling_factor":2.5,"sliding_window":null,
 "ssm_state_size":128,"tie_word_embeddings":false,"time_step_floor":0.0001,
 "time_step_limit":[0.0,Infinity],"time_step_max":0.1,"time_step_min":0.001,"topk_group":1,
 "torch_dtype":"bfloat16","transformers_version":"4.53.2","use_bias":false,"use_cache":true,
 "use_conv_bias":true,"use_mamba_kernels":true,"vocab_size":131072}"""

RELEASED_OMNI = {
    "architectures": ["NemotronH_Nano_Omni_Reasoning_V3"],
    "llm_config": json.loads(RELEASED),
    "vision_config": {
        "version": "c-radio_v4-h",
        "args": {
            "model": "vit_huge_patch16_224",
            "min_num_patches": 1024,
            "register_multiple": 10,
            "cpe_max_size": 2048,
            "cls_token_per_teacher": True,
            "teachers": [{"name": n} for n in ["clip", "siglip", "dino_v2", "sam"]],
        },
        "patch_size": 16,
        "preferred_resolution": [768, 768],
        "video_target_num_patches": 1024,
        "separate_video_embedder": True,
    },
    "sound_config": {"hidden_size": 1024},
    "sound_context_token_id": 27,
    "img_context_token_id": 18,
    "video_context_token_id": 131081,
    "vit_hidden_size": 1280,
    "projector_hidden_size": 20480,
    "downsample_ratio": 0.5,
    "ps_version": "v2",
    "force_image_size": 512,
    "template": "n5h_5p5_nanov2",
    "max_sequence_length": 131072,
    "video_pruning_rate": 0.7,
}


def test_a_released_text_configuration():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        config = config_from_json(json.loads(RELEASED), strict=True)
    assert config.num_hidden_layers == 52 and config.mamba_inner_size == 4096
    assert config.time_step_limit == (0.0, math.inf) and config.time_step_min == 0.001
    assert config.routed_scaling_factor == 2.5 and config.moe_latent_size is None
    values = config_to_json(config)
    assert config_from_json(values) == config
    for key, value in json.loads(RELEASED).items():
        if key not in {"architectures", "auto_map", "torch_dtype", "transformers_version"}:
            default = object()
            if key != "time_step_limit" and value is not None:
                assert values.get(key, default) == value, key


def test_a_released_omni_configuration():
    config = omni_from_json(RELEASED_OMNI, strict=True)
    assert (config.vision.num_cls_tokens, config.vision.num_registers) == (4, 6)
    assert (config.vision.hidden_size, config.vision.num_layers) == (1280, 32)
    assert config.vision.pos_grid == 128 and config.vision.intermediate_size == 5120
    assert config.vision.video_temporal_patch_size == 2
    assert config.image_token_id == 18 and config.video_token_id == 131081
    values = omni_to_json(config)
    assert omni_from_json(values, strict=True) == config
    assert values["video_pruning_rate"] == 0.7 and values["audio_config"] is None
    assert "sound_config" not in values


@pytest.mark.parametrize(
    "names", ["linear_attention full_attention moe mlp", "mamba attention moe mlp"]
)
def test_lists_of_block_names(names: str):
    values = json.loads(RELEASED)
    values["layers_block_type"] = names.split()
    values["hybrid_override_pattern"] = "MM"  # the list wins, as in transformers
    assert config_from_json(values).hybrid_override_pattern == "M*E-"
    values["layers_block_type"] = ["conv"]
    with pytest.raises(ConfigError, match="'conv'"):
        config_from_json(values)


def test_older_spellings():
    values = json.loads(RELEASED)
    values["attention_head_dim"] = values.pop("head_dim")
    values["mamba_n_groups"] = values.pop("n_groups")
    values["mamba_dt_limit"] = [0.01, 1e30]
    del values["time_step_limit"]
    config = config_from_json(values, strict=True)
    assert (config.head_dim, config.n_groups) == (128, 8)
    assert config.time_step_limit == (0.01, math.inf)
    assert config_to_json(config)["time_step_limit"] == [0.01, 1e30]
    json.dumps(config_to_json(config), allow_nan=False)


def test_infinity_as_transformers_writes_it():
    values = {**json.loads(RELEASED), "time_step_limit": [0.5, {"__float__": "Infinity"}]}
    assert config_from_json(values).time_step_limit == (0.5, math.inf)


def test_ours_survives_the_round_trip():
    config = tiny_config(eos_token_id=(2, 11), num_nextn_predict_layers=0)
    config = replace(config, vision=replace(config.vision, hidden_size=34, intermediate_size=77))
    written = json.loads(json.dumps(omni_to_json(config), allow_nan=False))
    assert omni_from_json(written, strict=True) == config
    assert int(34 * written["vision_config"]["mlp_ratio"]) == 77


def test_foreign_keys_are_kept_and_named():
    values = {**RELEASED_OMNI, "house_rule": 7}
    values["llm_config"] = {**values["llm_config"], "hiden_size": 3}
    with pytest.warns(UserWarning) as caught:
        config = omni_from_json(values)
    told = " ".join(str(each.message) for each in caught)
    assert "house_rule" in told and "hiden_size" in told
    written = omni_to_json(config)
    assert written["house_rule"] == 7 and written["text_config"]["hiden_size"] == 3
    with pytest.raises(
        ConfigError, match="unknown key hiden_size; the nearest known one is hidden_size"
    ):
        config_from_json(values["llm_config"], strict=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mlp_hidden_act": "gelu"}, "mlp_hidden_act 'gelu'"),
        ({"n_shared_experts": 2}, "n_shared_experts 2"),
        ({"hybrid_override_pattern": "MX"}, "'X'"),
        ({"hybrid_override_pattern": None}, "neither hybrid_override_pattern"),
        ({"hidden_size": "big"}, "hidden_size 'big', which is no int"),
        ({"use_bias": 1}, "use_bias 1, which is no bool"),
        ({"time_step_limit": [0.0, "x"]}, "time_step_limit 'x'"),
        ({"time_step_limit": [0.0]}, "time_step_limit of 1 numbers"),
    ],
)
def test_values_that_are_not_supported(change: dict, words: str):
    with pytest.raises(ConfigError, match=words):
        config_from_json({**json.loads(RELEASED), **change})


def test_towers_that_are_not_supported():
    def omni(**vision):
        return {**RELEASED_OMNI, "vision_config": {**RELEASED_OMNI["vision_config"], **vision}}

    with pytest.raises(ConfigError, match="use_swiglu_ffn"):
        omni_from_json(omni(use_swiglu_ffn=True))
    with pytest.raises(ConfigError, match="vit_tiny"):
        omni_from_json(omni(args={"model": "vit_tiny"}))
    with pytest.raises(ConfigError, match="text_config"):
        omni_from_json({"model_type": "nemotron_h_omni"})


def test_families(tmp_path: Path):
    (tmp_path / "config.json").write_text(RELEASED)
    assert isinstance(load_config(tmp_path, strict_config=True), LanguageConfig)
    (tmp_path / "config.json").write_text(json.dumps(RELEASED_OMNI))
    assert isinstance(load_config(tmp_path), VisionLanguageConfig)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ConfigError, match="names bert"):
        load_config(tmp_path)
    (tmp_path / "config.json").write_text("not json")
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load_config(tmp_path)
