"""`config.json` of Jamba to `LanguageConfig` and back.

Jamba says with a period and an offset which layers are attention and which have experts.
"""

import math
from collections.abc import Mapping
from typing import Any

from ...errors import ConfigError
from ..config import LanguageConfig, Multipliers
from .json_keys import Keys, check_writable, read_eos, take_or_auto, write_eos
from .paired import period_and_offset, split_pattern

MODEL_TYPE = "jamba"
ARCHITECTURE = "JambaForCausalLM"

# Our key: the format's key, and what the format means if it is absent.
KEYS: dict[str, tuple[str, Any]] = {
    "vocab_size": ("vocab_size", 65536),
    "hidden_size": ("hidden_size", 4096),
    "intermediate_size": ("intermediate_size", 14336),
    "num_attention_heads": ("num_attention_heads", 32),
    "num_key_value_heads": ("num_key_value_heads", 8),
    "num_experts_per_tok": ("num_experts_per_tok", 2),
    "ssm_state_size": ("mamba_d_state", 16),
    "conv_kernel": ("mamba_d_conv", 4),
    "use_conv_bias": ("mamba_conv_bias", True),
    "use_bias": ("mamba_proj_bias", False),
    "layer_norm_epsilon": ("rms_norm_eps", 1e-6),
    "initializer_range": ("initializer_range", 0.02),
    "tie_word_embeddings": ("tie_word_embeddings", False),
    "max_position_embeddings": ("max_position_embeddings", 262144),
    "bos_token_id": ("bos_token_id", 1),
    "pad_token_id": ("pad_token_id", 0),
}

# What else has another name there, for messages.
SPELLING = {ours: theirs for ours, (theirs, _) in KEYS.items()} | {
    "hybrid_override_pattern": "num_hidden_layers",
    "mamba_num_heads": "mamba_expand",
    "moe_intermediate_size": "intermediate_size",
    "n_routed_experts": "num_experts",
}

# Part of the format, but of no effect on what the model computes.
UNREAD = frozenset(
    [
        "attention_dropout",
        "calc_logits_for_entire_prompt",
        "num_logits_to_keep",
        "output_router_logits",
        "router_aux_loss_coef",
        "sliding_window",
        "use_associative_scan",
        "use_mamba_kernels",
        "use_mambapy",
    ]
)


def config_from_json(values: Mapping[str, Any], *, strict: bool = False) -> LanguageConfig:
    """Read the configuration of a Jamba model.

    Raises:
        ConfigError: a value that is not supported, or `strict` and an unknown key.
    """
    keys = Keys(values, where="config.json")
    keys.require("hidden_act", ["silu", "swish"])
    if values.get("sliding_window") is not None:
        raise ConfigError("config.json has a sliding_window; Jamba's attention is whole here.")
    taken = {ours: keys.take(theirs, default) for ours, (theirs, default) in KEYS.items()}
    layers, experts = keys.take("num_hidden_layers", 32), keys.take("num_experts", 16)
    attention = _places(keys, "attn_layer", 8, 4, layers)
    sparse = _places(keys, "expert_layer", 2, 1, layers)
    hidden, heads = taken["hidden_size"], taken["num_attention_heads"]
    rank = take_or_auto(keys, "mamba_dt_rank", math.ceil(hidden / 16))
    with keys.spelling(SPELLING):
        return LanguageConfig(
            **taken,
            family=MODEL_TYPE,
            hybrid_override_pattern="".join(
                ("*" if idx in attention else "m") + ("E" if idx in sparse and experts > 1 else "-")
                for idx in range(layers)
            ),
            mamba_num_heads=keys.take("mamba_expand", 2) * hidden,
            mamba_head_dim=1,
            mamba_dt_rank=rank,
            head_dim=keys.take("head_dim", hidden // max(heads, 1)),
            mlp_hidden_act="swiglu",
            router_score="softmax",
            norm_topk_prob=False,
            n_routed_experts=experts,
            moe_intermediate_size=taken["intermediate_size"],
            eos_token_id=read_eos(keys),
            extra=keys.rest(known=UNREAD, strict=strict),
        )


def config_to_json(config: LanguageConfig) -> dict[str, Any]:
    """The configuration in the released style, without `architectures`.

    Raises:
        ConfigError: the configuration has what this format cannot say.
    """
    expand, remainder = divmod(config.mamba_inner_size, config.hidden_size)
    mixers, seconds = split_pattern(config.hybrid_override_pattern, family=MODEL_TYPE, mixers="m*")
    check_writable(
        config,
        family=MODEL_TYPE,
        mlp_hidden_act="swiglu",
        mlp_bias=False,
        attention_bias=False,
        rotary=None,
        multipliers=Multipliers(),
        num_nextn_predict_layers=0,
    )
    if "E" in seconds:
        check_writable(
            config,
            family=MODEL_TYPE,
            router_score="softmax",
            norm_topk_prob=False,
            routed_scaling_factor=1.0,
            n_group=1,
            moe_intermediate_size=config.intermediate_size,
            moe_shared_expert_intermediate_size=0,
            moe_latent_size=None,
        )
    if remainder:
        raise ConfigError(
            f"mamba_num_heads {config.mamba_num_heads} is no multiple of hidden_size "
            f"{config.hidden_size}, which jamba checkpoints need."
        )
    layers = len(mixers)
    values: dict[str, Any] = {
        "hidden_act": "silu",
        "use_cache": True,
        **config.extra,
        **{theirs: getattr(config, ours) for ours, (theirs, _) in KEYS.items()},
        "model_type": MODEL_TYPE,
        "num_hidden_layers": layers,
        "num_experts": max(config.n_routed_experts, 1),
        "mamba_expand": expand,
        "mamba_dt_rank": config.mamba_dt_rank,
        "eos_token_id": write_eos(config),
    }
    for key, letters, letter in (("attn_layer", mixers, "*"), ("expert_layer", seconds, "E")):
        places = [idx for idx, found in enumerate(letters) if found == letter]
        period, offset = period_and_offset(places, layers, what=f"the {letter!r}")
        values |= {f"{key}_period": period, f"{key}_offset": offset}
    if config.head_dim * config.num_attention_heads != config.hidden_size:
        values["head_dim"] = config.head_dim
    return dict(sorted(values.items()))


def _places(keys: Keys, key: str, period: int, offset: int, layers: int) -> list[int]:
    """The layers that a period and an offset name."""
    period, offset = keys.take(f"{key}_period", period), keys.take(f"{key}_offset", offset)
    if not 0 <= offset < period:
        raise ConfigError(
            f"{keys.where} has {key}_offset {offset}, which is not below {key}_period {period}."
        )
    return list(range(offset, layers, period))
