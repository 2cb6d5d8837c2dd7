"""The families' random configurations, for `family_sweep`."""

from support.family_sweep import VOCABULARY, Draw, Sweep
from torch import Tensor
from transformers import (
    BambaConfig,
    BambaForCausalLM,
    GraniteMoeHybridConfig,
    GraniteMoeHybridForCausalLM,
    JambaConfig,
    JambaForCausalLM,
    NemotronHConfig,
    NemotronHForCausalLM,
    PreTrainedModel,
)
from transformers.models.granitemoehybrid.modeling_granitemoehybrid import (
    GraniteMoeHybridTopKRouter,
)
from transformers.models.jamba.modeling_jamba import JambaTopKRouter
from transformers.models.nemotron_h.modeling_nemotron_h import NemotronHTopkRouter


def _heads(draw: Draw) -> dict[str, int]:
    heads, kv_heads, head_dim = draw.one_of((4, 2, 8), (2, 2, 16), (8, 1, 4), (6, 3, 8))
    return {
        "hidden_size": heads * head_dim,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
    }


def _nemotron_h(draw: Draw) -> NemotronHConfig:
    mamba_heads, groups = draw.one_of((4, 2), (4, 1), (4, 4), (6, 3))
    experts, taken, expert_groups, groups_taken = draw.one_of(
        (6, 2, 1, 1), (12, 3, 4, 2), (4, 4, 1, 1), (9, 1, 3, 1), (8, 2, 2, 1)
    )
    return NemotronHConfig(
        vocab_size=VOCABULARY,
        hidden_size=draw.one_of(32, 40, 24),
        hybrid_override_pattern=draw.one_of(
            "M*-E", "MEM*E", "EM-*E", "MM*-", "M*ME", "ME*E", "M-E*", "*EMMM"
        ),
        mamba_num_heads=mamba_heads,
        mamba_head_dim=draw.one_of(12, 8),
        n_groups=groups,
        ssm_state_size=draw.one_of(8, 16, 5),
        conv_kernel=draw.one_of(4, 3),
        chunk_size=draw.one_of(16, 7, 64),
        num_attention_heads=4,
        num_key_value_heads=draw.one_of(1, 2, 4),
        head_dim=draw.one_of(8, 12),
        intermediate_size=48,
        n_routed_experts=experts,
        num_experts_per_tok=taken,
        n_group=expert_groups,
        topk_group=groups_taken,
        moe_intermediate_size=draw.one_of(20, 16),
        moe_shared_expert_intermediate_size=28,
        moe_latent_size=draw.one_of(16, None),
        norm_topk_prob=draw.one_of(True, True, False),
        routed_scaling_factor=draw.one_of(2.5, 1.0),
        use_bias=draw.one_of(False, False, True),
        mlp_bias=draw.one_of(False, False, False, True),
        use_conv_bias=draw.one_of(True, True, False),
        eos_token_id=draw.one_of(2, [2, 11]),
    )


def _nemotron_scores(router: NemotronHTopkRouter, logits: Tensor) -> list[tuple[Tensor, int]]:
    scores = logits.sigmoid() + router.e_score_correction_bias
    if router.num_group == 1:
        return [(scores, router.top_k)]
    groups = scores.unflatten(-1, (router.num_group, -1))
    totals = groups.topk(2).values.sum(-1)
    lowest = totals.topk(router.topk_group).values[:, -1:]
    kept = groups.masked_fill((totals < lowest).unsqueeze(-1), float("-inf")).flatten(-2)
    return [(totals, router.topk_group), (kept, router.top_k)]


def _lift_clamp(model: PreTrainedModel) -> None:
    """transformers limits dt from below by `time_step_min`, but only where it prefills."""
    for module in model.modules():
        if hasattr(module, "time_step_limit"):
            module.time_step_limit = (0.0, float("inf"))


def _jamba(draw: Draw) -> JambaConfig:
    layers = draw.one_of(2, 3, 4, 5)
    attention, experts = draw.one_of((2, 1), (3, 0), (2, 0)), draw.one_of((2, 1), (1, 0), (3, 2))
    return JambaConfig(
        **_heads(draw),
        vocab_size=VOCABULARY,
        num_hidden_layers=layers,
        intermediate_size=draw.one_of(48, 20),
        attn_layer_period=attention[0],
        attn_layer_offset=attention[1],
        expert_layer_period=experts[0],
        expert_layer_offset=experts[1],
        num_experts=draw.one_of(4, 6, 16, 1),
        num_experts_per_tok=draw.one_of(2, 1),
        mamba_d_state=draw.one_of(8, 16, 5),
        mamba_d_conv=draw.one_of(4, 3),
        mamba_expand=draw.one_of(2, 1, 3),
        mamba_dt_rank=draw.one_of("auto", 6),
        mamba_conv_bias=draw.one_of(True, True, False),
        mamba_proj_bias=draw.one_of(False, False, True),
        tie_word_embeddings=draw.one_of(False, False, False, True),
        rms_norm_eps=draw.one_of(1e-6, 1e-5),
        eos_token_id=draw.one_of(2, [2, 11]),
    )


def _bamba(draw: Draw) -> BambaConfig:
    return BambaConfig(
        **_heads(draw),
        **_mamba2(draw),
        vocab_size=VOCABULARY,
        **draw.one_of(
            {"num_hidden_layers": 2, "attn_layer_indices": [1]},
            {"num_hidden_layers": 3, "attn_layer_indices": [0, 2]},
            {"num_hidden_layers": 4, "attn_layer_indices": [1, 2]},
            {"num_hidden_layers": 4, "attn_layer_indices": [2]},
        ),
        intermediate_size=draw.one_of(48, 20),
        rope_parameters={"rope_type": "default", "rope_theta": draw.one_of(10000.0, 500.0)},
        attention_bias=draw.one_of(False, True),
        mlp_bias=draw.one_of(False, True),
        tie_word_embeddings=draw.one_of(False, False, False, True),
        rms_norm_eps=draw.one_of(1e-6, 1e-5),
        eos_token_id=draw.one_of(2, [2, 11]),
    )


def _granite(draw: Draw) -> GraniteMoeHybridConfig:
    experts, taken = draw.one_of((6, 2), (0, 2), (16, 3), (4, 1))
    mamba, attention = "linear_attention", "full_attention"
    names = draw.one_of([mamba, attention], [attention, mamba, mamba], [mamba, attention, mamba])
    return GraniteMoeHybridConfig(
        **_heads(draw),
        **_mamba2(draw),
        vocab_size=VOCABULARY,
        num_hidden_layers=len(names),
        layer_types=names,
        num_local_experts=experts,
        num_experts_per_tok=taken,
        intermediate_size=draw.one_of(20, 32),
        shared_intermediate_size=draw.one_of(48, 20),
        embedding_multiplier=draw.one_of(12.0, 1.0),
        residual_multiplier=draw.one_of(0.22, 1.0, 0.6),
        attention_multiplier=draw.one_of(0.1, 1.0),
        logits_scaling=draw.one_of(8.0, 1),
        position_embedding_type=draw.one_of(None, "rope"),
        rope_parameters={"rope_type": "default", "rope_theta": draw.one_of(10000.0, 500.0)},
        attention_bias=draw.one_of(False, True),
        tie_word_embeddings=draw.one_of(False, True),
        pad_token_id=draw.one_of(None, 0),
        eos_token_id=draw.one_of(2, [2, 11]),
    )


def _mamba2(draw: Draw) -> dict:
    return {
        "mamba_n_heads": draw.one_of(4, 8),
        "mamba_n_groups": draw.one_of(1, 2, 4),
        "mamba_d_state": draw.one_of(8, 16, 5),
        "mamba_d_conv": draw.one_of(4, 3),
        "mamba_expand": draw.one_of(2, 1, 3),
        "mamba_chunk_size": draw.one_of(16, 7, 64),
        "mamba_conv_bias": draw.one_of(True, True, False),
        "mamba_proj_bias": draw.one_of(False, False, True),
    }


SWEEPS: dict[str, Sweep] = {
    "nemotron_h": Sweep(
        build=NemotronHForCausalLM,
        config=_nemotron_h,
        router=NemotronHTopkRouter,
        scores=_nemotron_scores,
        prepare=_lift_clamp,
    ),
    "jamba": Sweep(build=JambaForCausalLM, config=_jamba, router=JambaTopKRouter),
    "bamba": Sweep(build=BambaForCausalLM, config=_bamba),
    "granitemoehybrid": Sweep(
        build=GraniteMoeHybridForCausalLM, config=_granite, router=GraniteMoeHybridTopKRouter
    ),
}
