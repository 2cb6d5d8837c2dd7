"""Jamba (arXiv:2403.19887) and Jamba-1.5 (arXiv:2408.12570).

Every eighth layer is attention, the others Mamba-1; every second one has experts, the others a
gated MLP. A layer is two blocks here.
"""

from dataclasses import replace

from ..config import LanguageConfig


def v01() -> LanguageConfig:
    """Jamba v0.1: 52B parameters, 12B of them active."""
    return LanguageConfig(
        family="jamba",
        vocab_size=65536,
        hidden_size=4096,
        hybrid_override_pattern="m-mEm-mE*-mEm-mE" * 4,
        mamba_num_heads=2 * 4096,
        mamba_head_dim=1,
        mamba_dt_rank=256,
        ssm_state_size=16,
        num_attention_heads=32,
        num_key_value_heads=8,
        head_dim=128,
        mlp_hidden_act="swiglu",
        intermediate_size=14336,
        n_routed_experts=16,
        num_experts_per_tok=2,
        moe_intermediate_size=14336,
        router_score="softmax",
        norm_topk_prob=False,
        layer_norm_epsilon=1e-6,
        max_position_embeddings=262144,
        eos_token_id=(2, 518),
    )


def mini_1_5() -> LanguageConfig:
    """Jamba-1.5 Mini: the architecture of v0.1."""
    return v01()


def large_1_5() -> LanguageConfig:
    """Jamba-1.5 Large: 398B parameters, 94B of them active."""
    return replace(
        v01(),
        hidden_size=8192,
        hybrid_override_pattern="m-mEm-mE*-mEm-mE" * 9,
        mamba_num_heads=2 * 8192,
        mamba_dt_rank=512,
        num_attention_heads=64,
        intermediate_size=24576,
        moe_intermediate_size=24576,
    )
