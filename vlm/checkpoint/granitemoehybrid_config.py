"""`config.json` of Granite 4 (`granitemoehybrid`) to `LanguageConfig` and back.

With experts, every layer has them beside a shared one; without (`num_local_experts` 0), the
shared one is the layer's MLP.
"""

from collections.abc import Mapping
from typing import Any

from ...errors import ConfigError
from ..config import LanguageConfig, Multipliers, Rotary
from .json_keys import Keys, check_writable, read_eos, write_eos
from .mamba2_pair_config import (
    SPELLING,
    read_mixers,
    read_theta,
    write_mixers,
    write_rotary,
)
from .paired import split_pattern

MODEL_TYPE = "granitemoehybrid"
DENSE = "granitemoehybrid_dense"  # our name of those without experts
ARCHITECTURE = "GraniteMoeHybridForCausalLM"

# What else has another name there, for messages.
EXPERTS = {
    "n_routed_experts": "num_local_experts",
    "moe_intermediate_size": "intermediate_size",
    "moe_shared_expert_intermediate_size": "shared_intermediate_size",
    "intermediate_size": "shared_intermediate_size",
}
MIXERS = {"mamba": "M", "linear_attention": "M", "attention": "*", "full_attention": "*"}

# Part of the format, but of no effect on what the model computes.
UNREAD = frozenset(
    [
        "attention_dropout",
        "init_method",
        "output_router_logits",
        "router_aux_loss_coef",
        "use_mamba_kernels",
    ]
)


def is_dense(values: Mapping[str, Any]) -> bool:
    return values.get("num_local_experts", 8) == 0


def config_from_json(values: Mapping[str, Any], *, strict: bool = False) -> LanguageConfig:
    """Read the configuration of a Granite 4 model.

    Raises:
        ConfigError: a value that is not supported, or `strict` and an unknown key.
    """
    keys = Keys(values, where="config.json")
    keys.require("hidden_act", ["silu", "swish"])
    keys.require("normalization_function", ["rmsnorm"])
    mixers = read_mixers(
        keys, vocab_size=32000, layer_norm_epsilon=1e-6, max_position_embeddings=2048
    )
    layers = keys.take("num_hidden_layers", 32)
    names = keys.take("layer_types", aliases=["layers_block_type"]) or ["mamba"] * layers
    unknown = [name for name in names if name not in MIXERS]
    if unknown or len(names) != layers:
        raise ConfigError(
            f"config.json has layer_types {names}; there must be {layers}, each one of "
            f"{', '.join(MIXERS)}."
        )
    experts, shared = keys.take("num_local_experts", 8), keys.take("shared_intermediate_size", 1024)
    theta, part = read_theta(keys)
    keys.require("position_embedding_type", ["rope", "nope"])
    is_rotary = values.get("position_embedding_type") == "rope"
    if is_rotary and part not in (None, 1.0):
        raise ConfigError(f"config.json has partial_rotary_factor {part}; only 1.0 is supported.")
    with keys.spelling(SPELLING | EXPERTS):
        return LanguageConfig(
            **mixers,
            family=MODEL_TYPE if experts else DENSE,
            hybrid_override_pattern="".join(
                MIXERS[name] + ("E" if experts else "-") for name in names
            ),
            rotary=Rotary(dims=mixers["head_dim"], theta=theta) if is_rotary else None,
            multipliers=Multipliers(
                embedding=keys.take("embedding_multiplier", 1.0),
                residual=keys.take("residual_multiplier", 1.0),
                attention=keys.take("attention_multiplier", 1.0),
                logits_divisor=keys.take("logits_scaling", 1.0),
            ),
            router_score="softmax",
            n_routed_experts=experts,
            num_experts_per_tok=keys.take("num_experts_per_tok", 2),
            moe_intermediate_size=keys.take("intermediate_size", 11008),
            moe_shared_expert_intermediate_size=shared,
            intermediate_size=shared,
            pad_token_id=keys.take("pad_token_id"),
            eos_token_id=read_eos(keys),
            extra=keys.rest(known=UNREAD, strict=strict),
        )


def config_to_json(config: LanguageConfig) -> dict[str, Any]:
    """The configuration in the released style, without `architectures`.

    Raises:
        ConfigError: the configuration has what this format cannot say.
    """
    mixers, seconds = split_pattern(config.hybrid_override_pattern, family=MODEL_TYPE, mixers="M*")
    dense = config.family == DENSE
    if set(seconds) != {"-" if dense else "E"}:
        raise ConfigError(
            f"A checkpoint of the family {config.family} has "
            f"{'no experts' if dense else 'experts in every layer'}; its pattern is "
            f"{config.hybrid_override_pattern!r}."
        )
    scale = config.multipliers.attention
    rotary = config.rotary and Rotary(dims=config.head_dim, theta=config.rotary.theta)
    check_writable(
        config,
        family=MODEL_TYPE,
        rotary=rotary,
        mlp_hidden_act="swiglu",
        mlp_bias=False,
        num_nextn_predict_layers=0,
    )
    if not dense:
        check_writable(
            config,
            family=MODEL_TYPE,
            router_score="softmax",
            norm_topk_prob=True,
            routed_scaling_factor=1.0,
            n_group=1,
            moe_latent_size=None,
        )
    values = {
        "use_cache": True,
        **config.extra,
        **write_mixers(config, family=MODEL_TYPE),
        **({} if rotary is None else write_rotary(rotary, part=1.0)),
        "model_type": MODEL_TYPE,
        "num_hidden_layers": len(mixers),
        "layer_types": ["mamba" if letter == "M" else "attention" for letter in mixers],
        "position_embedding_type": "nope" if rotary is None else "rope",
        "embedding_multiplier": config.multipliers.embedding,
        "residual_multiplier": config.multipliers.residual,
        "attention_multiplier": config.head_dim**-0.5 if scale is None else scale,
        "logits_scaling": config.multipliers.logits_divisor,
        "num_local_experts": 0 if dense else config.n_routed_experts,
        "num_experts_per_tok": config.num_experts_per_tok,
        "intermediate_size": config.moe_intermediate_size,
        "shared_intermediate_size": (
            config.intermediate_size if dense else config.moe_shared_expert_intermediate_size
        ),
        "eos_token_id": write_eos(config),
    }
    return dict(sorted(values.items()))
