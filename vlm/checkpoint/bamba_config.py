"""`config.json` of Bamba to `LanguageConfig` and back."""

from collections.abc import Mapping
from typing import Any

from ...errors import ConfigError
from ..config import LanguageConfig, Multipliers, Rotary
from .json_keys import Keys, check_writable, read_eos, write_eos
from .mamba2_pair_config import SPELLING, read_mixers, read_theta, write_mixers, write_rotary
from .paired import split_pattern

MODEL_TYPE = "bamba"
ARCHITECTURE = "BambaForCausalLM"
TURNED = 0.5  # of every head, whatever the file says

# Part of the format, but of no effect on what the model computes.
UNREAD = frozenset(
    ["attention_dropout", "num_logits_to_keep", "use_mamba_kernels", "z_loss_coefficient"]
)


def config_from_json(values: Mapping[str, Any], *, strict: bool = False) -> LanguageConfig:
    """Read the configuration of a Bamba model.

    Raises:
        ConfigError: a value that is not supported, or `strict` and an unknown key.
    """
    keys = Keys(values, where="config.json")
    keys.require("hidden_act", ["silu", "swish"])
    mixers = read_mixers(keys, num_key_value_heads=8)
    theta, part = read_theta(keys)
    if part not in (None, TURNED):
        raise ConfigError(f"config.json has partial_rotary_factor {part}; Bamba's is {TURNED}.")
    attention = keys.take("attn_layer_indices", [])
    for stale in ("layers_block_type", "layer_types"):
        keys.take(stale)  # the indices say the same
    layers = keys.take("num_hidden_layers", 32)
    with keys.spelling(SPELLING):
        return LanguageConfig(
            **mixers,
            family=MODEL_TYPE,
            hybrid_override_pattern="".join(
                "*-" if idx in attention else "M-" for idx in range(layers)
            ),
            rotary=Rotary(dims=int(mixers["head_dim"] * TURNED), theta=theta),
            intermediate_size=keys.take("intermediate_size", 14336),
            mlp_bias=keys.take("mlp_bias", False),
            pad_token_id=keys.take("pad_token_id", 0),
            eos_token_id=read_eos(keys),
            extra=keys.rest(known=UNREAD, strict=strict),
        )


def config_to_json(config: LanguageConfig) -> dict[str, Any]:
    """The configuration in the released style, without `architectures`.

    Raises:
        ConfigError: the configuration has what this format cannot say.
    """
    mixers, seconds = split_pattern(config.hybrid_override_pattern, family=MODEL_TYPE, mixers="M*")
    if "E" in seconds:
        raise ConfigError(f"A checkpoint of the family {MODEL_TYPE} cannot hold experts.")
    theta = 10000.0 if config.rotary is None else config.rotary.theta
    rotary = Rotary(dims=int(config.head_dim * TURNED), theta=theta)
    check_writable(
        config,
        family=MODEL_TYPE,
        rotary=rotary,
        mlp_hidden_act="swiglu",
        num_nextn_predict_layers=0,
        multipliers=Multipliers(),
    )
    values = {
        "use_cache": True,
        **config.extra,
        **write_mixers(config, family=MODEL_TYPE),
        **write_rotary(rotary, part=TURNED),
        "model_type": MODEL_TYPE,
        "num_hidden_layers": len(mixers),
        "attn_layer_indices": [idx for idx, letter in enumerate(mixers) if letter == "*"],
        "intermediate_size": config.intermediate_size,
        "mlp_bias": config.mlp_bias,
        "eos_token_id": write_eos(config),
    }
    return dict(sorted(values.items()))
