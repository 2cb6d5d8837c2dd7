"""What the `config.json` of Bamba and of Granite 4 have in common: their Mamba-2 and attention."""

import math
from typing import Any

from ...errors import ConfigError
from ..config import LanguageConfig, Rotary
from .json_keys import Keys, take_or_auto

# Our key: the format's key, and what the format means if it is absent.
KEYS: dict[str, tuple[str, Any]] = {
    "vocab_size": ("vocab_size", 128000),
    "hidden_size": ("hidden_size", 4096),
    "num_attention_heads": ("num_attention_heads", 32),
    "attention_bias": ("attention_bias", False),
    "mamba_num_heads": ("mamba_n_heads", 128),
    "n_groups": ("mamba_n_groups", 1),
    "ssm_state_size": ("mamba_d_state", 256),
    "conv_kernel": ("mamba_d_conv", 4),
    "chunk_size": ("mamba_chunk_size", 256),
    "use_conv_bias": ("mamba_conv_bias", True),
    "use_bias": ("mamba_proj_bias", False),
    "initializer_range": ("initializer_range", 0.02),
    "layer_norm_epsilon": ("rms_norm_eps", 1e-5),
    "tie_word_embeddings": ("tie_word_embeddings", False),
    "max_position_embeddings": ("max_position_embeddings", 262144),
    "bos_token_id": ("bos_token_id", 1),
}
# What has another name there, for messages.
SPELLING = {ours: theirs for ours, (theirs, _) in KEYS.items()} | {
    "hybrid_override_pattern": "num_hidden_layers",
    "mamba_head_dim": "mamba_d_head",
}


def read_mixers(keys: Keys, **defaults: Any) -> dict[str, Any]:
    """Arguments of `LanguageConfig`.

    Args:
        defaults: what the family means by a key of ours that is absent, if not what `KEYS` says.

    Raises:
        ConfigError: sizes that do not fit each other, or a value that is not supported.
    """
    taken = {
        ours: keys.take(theirs, defaults.get(ours, default))
        for ours, (theirs, default) in KEYS.items()
    }
    heads, hidden = taken["num_attention_heads"], taken["hidden_size"]
    inner = keys.take("mamba_expand", 2) * hidden
    size = take_or_auto(keys, "mamba_d_head", inner // max(taken["mamba_num_heads"], 1))
    if size * taken["mamba_num_heads"] != inner:
        raise ConfigError(
            f"{keys.where} has mamba_n_heads {taken['mamba_num_heads']} of {size} channels, but "
            f"mamba_expand x hidden_size is {inner}."
        )
    limit = keys.take("time_step_limit", (0.0, math.inf))
    return taken | {
        "num_key_value_heads": keys.take(
            "num_key_value_heads", defaults.get("num_key_value_heads", heads)
        ),
        "head_dim": keys.take("head_dim", hidden // max(heads, 1)),
        "mamba_head_dim": size,
        "mlp_hidden_act": "swiglu",
        "time_step_limit": (float(limit[0]), math.inf if limit[1] >= 1e30 else float(limit[1])),
    }


def read_theta(keys: Keys) -> tuple[float, float | None]:
    """Base of the rotary angles, and which part of a head they turn, if the file says.

    Raises:
        ConfigError: positions are scaled, which is not supported.
    """
    keys.require("rope_scaling", [])
    given = dict(keys.take("rope_parameters", {}))
    kind = given.get("rope_type", "default")
    if kind != "default":
        raise ConfigError(f"{keys.where} has rope_type {kind!r}; only 'default' is supported.")
    theta = keys.take("rope_theta", given.get("rope_theta", 10000.0))
    return theta, keys.take("partial_rotary_factor", given.get("partial_rotary_factor"))


def write_mixers(config: LanguageConfig, *, family: str) -> dict[str, Any]:
    """What `read_mixers` reads.

    Raises:
        ConfigError: the Mamba width is no multiple of the hidden size.
    """
    expand, remainder = divmod(config.mamba_inner_size, config.hidden_size)
    if remainder:
        raise ConfigError(
            f"Mamba's width {config.mamba_inner_size} is no multiple of hidden_size "
            f"{config.hidden_size}, which {family} checkpoints need."
        )
    values = {theirs: getattr(config, ours) for ours, (theirs, _) in KEYS.items()}
    values |= {
        "hidden_act": "silu",
        "mamba_d_head": config.mamba_head_dim,
        "mamba_expand": expand,
        "num_key_value_heads": config.num_key_value_heads,
        "pad_token_id": config.pad_token_id,
    }
    if config.head_dim * config.num_attention_heads != config.hidden_size:
        values["head_dim"] = config.head_dim
    if config.time_step_limit != (0.0, math.inf):
        values["time_step_limit"] = [min(bound, 1e30) for bound in config.time_step_limit]
    return values


def write_rotary(rotary: Rotary, *, part: float) -> dict[str, Any]:
    """Angles as older and as newer readers look for them."""
    parameters = {"rope_type": "default", "rope_theta": rotary.theta, "partial_rotary_factor": part}
    return {"rope_theta": rotary.theta, "rope_parameters": parameters}
