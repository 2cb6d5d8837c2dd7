"""Architectures of this project's own: for tests, for the shipped model, for measuring speed."""

from dataclasses import replace

from ...vision_encoder.radio import RadioConfig
from ..config import LanguageConfig, VisionLanguageConfig


def tiny() -> VisionLanguageConfig:
    """Every kind of block in a model small enough for a test."""
    return VisionLanguageConfig(
        text=LanguageConfig(
            vocab_size=320,
            hidden_size=32,
            hybrid_override_pattern="M*-E",
            mamba_num_heads=4,
            mamba_head_dim=16,
            n_groups=2,
            ssm_state_size=16,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=8,
            intermediate_size=64,
            n_routed_experts=4,
            num_experts_per_tok=2,
            moe_intermediate_size=24,
            moe_shared_expert_intermediate_size=32,
            moe_latent_size=16,
            routed_scaling_factor=2.5,
            num_nextn_predict_layers=1,
            time_step_min=1e-9,
            max_position_embeddings=4096,
            eos_token_id=11,
        ),
        vision=RadioConfig(
            hidden_size=32,
            num_layers=2,
            num_heads=2,
            intermediate_size=64,
            patch_size=8,
            pos_grid=16,
            num_cls_tokens=1,
            num_registers=1,
            summary_idxs=(0,),
            video_temporal_patch_size=2,
        ),
        projector_hidden_size=48,
    )


def default_cpu() -> VisionLanguageConfig:
    """The default model for two CPU cores: small crisp documents, about 2.8M active parameters."""
    base = tiny()
    return replace(
        base,
        text=replace(
            base.text,
            hidden_size=160,
            hybrid_override_pattern="M*EM*EM*E",
            mamba_num_heads=5,
            mamba_head_dim=64,
            n_groups=1,
            ssm_state_size=64,
            num_attention_heads=6,
            num_key_value_heads=2,
            head_dim=32,
            intermediate_size=0,
            n_routed_experts=8,
            moe_intermediate_size=160,
            moe_shared_expert_intermediate_size=256,
            moe_latent_size=80,
        ),
        vision=replace(
            base.vision,
            hidden_size=128,
            num_layers=6,
            num_heads=4,
            intermediate_size=512,
            pos_grid=32,
        ),
        projector_hidden_size=256,
    )


def default() -> VisionLanguageConfig:
    """The default model for a GPU: whole pages, under 20M parameters in all."""
    base = default_cpu()
    return replace(
        base,
        text=replace(
            base.text,
            hidden_size=256,
            hybrid_override_pattern="MEM*EMEM*EM*E",
            mamba_num_heads=8,
            num_attention_heads=8,
            num_key_value_heads=2,
            n_routed_experts=16,
            moe_intermediate_size=256,
            moe_shared_expert_intermediate_size=512,
            moe_latent_size=128,
            max_position_embeddings=8192,
        ),
        vision=replace(
            base.vision,
            hidden_size=288,
            num_layers=7,
            num_heads=6,
            intermediate_size=1152,
            pos_grid=40,
        ),
        projector_hidden_size=512,
    )


def bench_s() -> LanguageConfig:
    """Preset S of the speed comparison: 61.4M parameters, 30.7M active."""
    return LanguageConfig(
        vocab_size=8192,
        hidden_size=384,
        hybrid_override_pattern="MEMEM*EMEME" * 3,
        mamba_num_heads=12,
        mamba_head_dim=64,
        n_groups=2,
        ssm_state_size=64,
        num_attention_heads=6,
        num_key_value_heads=2,
        head_dim=64,
        n_routed_experts=32,
        num_experts_per_tok=4,
        moe_intermediate_size=256,
        moe_shared_expert_intermediate_size=512,
        moe_latent_size=128,
        routed_scaling_factor=2.5,
        time_step_min=1e-9,
        max_position_embeddings=16384,
    )


def bench_m() -> LanguageConfig:
    """Preset M of the speed comparison: 299M parameters, 138.6M active."""
    return replace(
        bench_s(),
        hidden_size=1024,
        hybrid_override_pattern="MEMEM*EMEMEM" * 2,
        mamba_num_heads=32,
        n_groups=4,
        num_attention_heads=16,
        num_key_value_heads=4,
        n_routed_experts=64,
        num_experts_per_tok=6,
        moe_intermediate_size=512,
        moe_shared_expert_intermediate_size=1024,
        moe_latent_size=256,
    )


def bench_vl() -> VisionLanguageConfig:
    """Preset S behind a tower of 22M parameters that takes two frames together."""
    return VisionLanguageConfig(
        text=replace(bench_s(), max_position_embeddings=65536),
        vision=RadioConfig(
            hidden_size=384,
            num_layers=12,
            num_heads=6,
            intermediate_size=1536,
            pos_grid=64,
            video_temporal_patch_size=2,
        ),
        projector_hidden_size=1536,
    )
