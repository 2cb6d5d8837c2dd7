"""`config.json` of Nemotron-H to `LanguageConfig` and back.

Read are the released style (`hybrid_override_pattern`) and that of transformers 5
(`layers_block_type`), with the older spellings of both. Written is the released style,
the one every consumer reads.
"""

import math
from collections.abc import Mapping
from typing import Any

from ...errors import ConfigError
from ..config import LanguageConfig, Multipliers
from .json_keys import Keys, check_writable, read_eos, write_eos

ARCHITECTURE = "NemotronHForCausalLM"
MODEL_TYPE = "nemotron_h"

BLOCK_NAMES = {
    "linear_attention": "M",
    "mamba": "M",
    "full_attention": "*",
    "attention": "*",
    "mlp": "-",
    "moe": "E",
}

# What the format means by a key that is absent.
DEFAULTS: dict[str, Any] = {
    "vocab_size": 131072,
    "hidden_size": 4096,
    "mamba_num_heads": 128,
    "mamba_head_dim": 64,
    "n_groups": 8,
    "ssm_state_size": 128,
    "conv_kernel": 4,
    "chunk_size": 128,
    "use_conv_bias": True,
    "use_bias": False,
    "time_step_min": 0.001,
    "time_step_max": 0.1,
    "time_step_floor": 1e-4,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "attention_bias": False,
    "intermediate_size": 21504,
    "mlp_bias": False,
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 7688,
    "moe_shared_expert_intermediate_size": 7688,
    "n_group": 1,
    "topk_group": 1,
    "norm_topk_prob": True,
    "routed_scaling_factor": 1.0,
    "num_nextn_predict_layers": 0,
    "layer_norm_epsilon": 1e-5,
    "initializer_range": 0.02,
    "tie_word_embeddings": False,
    "max_position_embeddings": 4096,
    "bos_token_id": 1,
    "pad_token_id": 0,
}

ALIASES = {
    "n_groups": ["mamba_n_groups"],
    "conv_kernel": ["mamba_d_conv"],
    "time_step_min": ["mamba_dt_min"],
    "time_step_max": ["mamba_dt_max"],
    "time_step_floor": ["mamba_dt_init_floor"],
    "use_conv_bias": ["mamba_conv_bias"],
    "chunk_size": ["mamba_chunk_size"],
    "head_dim": ["attention_head_dim"],
    "n_routed_experts": ["num_local_experts"],
    "layer_norm_epsilon": ["rms_norm_eps", "norm_eps"],
}

# Part of the format, but of no effect on what the model computes.
UNREAD = frozenset(
    [
        "num_hidden_layers",
        "expand",
        "mamba_expand",
        "attention_dropout",
        "hidden_dropout",
        "mamba_proj_bias",
        "mamba_ssm_cache_dtype",
        "num_logits_to_keep",
        "partial_rotary_factor",
        "rescale_prenorm_residual",
        "residual_in_fp32",
        "rope_theta",
        "rope_scaling",
        "sliding_window",
        "use_mamba_kernels",
        "moe_shared_expert_overlap",
        "output_router_logits",
    ]
)

# Constants of the architecture that other readers look for.
CONSTANTS: dict[str, Any] = {
    "expand": 2,
    "mamba_hidden_act": "silu",
    "mlp_hidden_act": "relu2",
    "mamba_proj_bias": False,
    "mamba_ssm_cache_dtype": "float32",
    "n_shared_experts": 1,
    "residual_in_fp32": False,
    "use_cache": True,
}


def config_from_json(
    values: Mapping[str, Any], *, strict: bool = False, where: str = "config.json"
) -> LanguageConfig:
    """Read the configuration of a Nemotron-H model.

    Raises:
        ConfigError: a value that is not supported, or `strict` and an unknown key.
    """
    keys = Keys(values, where=where)
    keys.require("mamba_hidden_act", ["silu", "swish"])
    keys.require("mlp_hidden_act", ["relu2"])
    keys.require("n_shared_experts", [1])
    pattern = _pattern(keys, "layers_block_type", "hybrid_override_pattern", ["layer_types"])
    if pattern is None:
        raise ConfigError(f"{where} has neither hybrid_override_pattern nor layers_block_type.")
    mtp = _pattern(keys, "mtp_layers_block_type", "mtp_hybrid_override_pattern", [])
    taken = {key: keys.take(key, DEFAULTS[key], aliases=ALIASES.get(key, ())) for key in DEFAULTS}
    latent = keys.take("moe_latent_size", 0)
    limit = keys.take("time_step_limit", (0.0, math.inf), aliases=["mamba_dt_limit"])
    if len(limit) != 2:
        raise ConfigError(f"{where} has a time_step_limit of {len(limit)} numbers; it needs two.")
    eos, extra = read_eos(keys), keys.rest(known=UNREAD, strict=strict)
    with keys.spelling():
        return LanguageConfig(
            **taken,
            hybrid_override_pattern=pattern,
            mtp_hybrid_override_pattern=mtp or "*E",
            moe_latent_size=latent or None,
            eos_token_id=eos,
            time_step_limit=(float(limit[0]), _unlimited(float(limit[1]))),
            extra=extra,
        )


def config_to_json(config: LanguageConfig) -> dict[str, Any]:
    """The configuration in the released style, without `architectures`.

    Raises:
        ConfigError: the configuration has what this format cannot say.
    """
    check_writable(
        config,
        family=MODEL_TYPE,
        mlp_hidden_act="relu2",
        router_score="sigmoid",
        rotary=None,
        multipliers=Multipliers(),
    )
    if "m" in config.hybrid_override_pattern:
        raise ConfigError(f"A checkpoint of the family {MODEL_TYPE} cannot hold Mamba-1 layers.")
    written = {key: getattr(config, key) for key in DEFAULTS}
    values: dict[str, Any] = {
        **CONSTANTS,
        **config.extra,
        **written,
        "model_type": MODEL_TYPE,
        "hybrid_override_pattern": config.hybrid_override_pattern,
        "num_hidden_layers": config.num_hidden_layers,
        "mtp_hybrid_override_pattern": config.mtp_hybrid_override_pattern,
        "moe_latent_size": config.moe_latent_size,
        "norm_eps": config.layer_norm_epsilon,
        "eos_token_id": write_eos(config),
    }
    if config.time_step_limit != (0.0, math.inf):
        # JSON has no infinity; readers of this format take 1e30 for it.
        values["time_step_limit"] = [min(bound, 1e30) for bound in config.time_step_limit]
    return dict(sorted(values.items()))


def _pattern(keys: Keys, list_key: str, string_key: str, aliases: list[str]) -> str | None:
    """One letter a layer, from the list of names if there is one, else from the string."""
    names = keys.take(list_key, aliases=aliases)
    letters = keys.take(string_key)
    if not isinstance(names, list | None) or not isinstance(letters, str | None):
        raise ConfigError(
            f"{keys.where} must have a list of names as {list_key} or a text as {string_key}."
        )
    if names is not None:
        unknown = [name for name in names if str(name) not in BLOCK_NAMES]
        if unknown:
            raise ConfigError(
                f"{keys.where} has the block {unknown[0]!r} in {list_key}; "
                f"known are {', '.join(BLOCK_NAMES)}."
            )
        return "".join(BLOCK_NAMES[name] for name in names)
    # Megatron marks pipeline stages with | in its patterns.
    return letters.replace("|", "") if letters is not None else None


def _unlimited(bound: float) -> float:
    return math.inf if bound >= 1e30 else bound
