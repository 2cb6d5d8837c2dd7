"""Nemotron 3 (arXiv:2512.20856): mixtures of experts between Mamba-2 layers, little attention.

From Super on the experts are latent (LatentMoE, 2601.18089) and a draft head comes along.
"""

from dataclasses import replace

from ..config import LanguageConfig, VisionLanguageConfig
from .nemotron_2 import nano_9b_v2, nemotron_h_8b
from .towers import c_radio_v4_h


def nano_4b() -> LanguageConfig:
    """Nemotron 3 Nano 4B: dense, pruned from Nano 9B v2."""
    return replace(
        nano_9b_v2(),
        hidden_size=3136,
        hybrid_override_pattern="M-M-M-MM-M-M*-M-M*-M-M-M*-M-M-MM*-MMM-M-M-",
        mamba_num_heads=96,
        chunk_size=256,
        intermediate_size=12544,
        max_position_embeddings=262144,
    )


def nano_30b_a3b() -> LanguageConfig:
    """Nemotron 3 Nano 30B-A3B: 23 Mamba-2, 23 MoE and 6 attention layers."""
    return replace(
        nemotron_h_8b(),
        hidden_size=2688,
        hybrid_override_pattern="MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
        mamba_num_heads=64,
        num_key_value_heads=2,
        intermediate_size=1856,
        n_routed_experts=128,
        num_experts_per_tok=6,
        moe_intermediate_size=1856,
        moe_shared_expert_intermediate_size=3712,
        routed_scaling_factor=2.5,
        max_position_embeddings=262144,
    )


def super_120b_a12b() -> LanguageConfig:
    """Nemotron 3 Super 120B-A12B: 40 Mamba-2, 40 LatentMoE and 8 attention layers, a draft head."""
    return replace(
        nano_30b_a3b(),
        hidden_size=4096,
        hybrid_override_pattern=(
            "MEMEMEM*EMEMEMEM*EMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEM*"
            "EMEMEMEME"
        ),
        mamba_num_heads=128,
        intermediate_size=2688,
        n_routed_experts=512,
        num_experts_per_tok=22,
        moe_intermediate_size=2688,
        moe_shared_expert_intermediate_size=5376,
        moe_latent_size=1024,
        routed_scaling_factor=5.0,
        num_nextn_predict_layers=1,
    )


def ultra_550b_a55b() -> LanguageConfig:
    """Nemotron 3 Ultra 550B-A55B: 48 Mamba-2, 48 LatentMoE and 12 attention layers.

    Groups and state of its Mamba layers are taken to be those of Super.
    """
    return replace(
        super_120b_a12b(),
        hidden_size=8192,
        hybrid_override_pattern=(
            "MEMEMEM*EMEMEM*EMEMEMEM*EMEMEMEM*EMEMEM*EMEMEMEM*EMEMEMEM*EMEMEM*EMEMEMEM*EMEMEMEM*"
            "EMEMEM*EMEMEMEM*EMEMEMEME"
        ),
        mamba_num_heads=256,
        num_attention_heads=64,
        intermediate_size=5120,
        moe_intermediate_size=5120,
        moe_shared_expert_intermediate_size=10240,
        moe_latent_size=2048,
    )


def lightning_30b_a3b() -> LanguageConfig:
    """Nemotron 3.5 Lightning 30B-A3B: Nano 30B-A3B with a draft head."""
    return replace(nano_30b_a3b(), num_nextn_predict_layers=1)


def nano_omni_30b_a3b() -> VisionLanguageConfig:
    """Nemotron 3 Nano Omni 30B-A3B, without its ears: pictures of any size, video in tubelets."""
    return VisionLanguageConfig(
        text=nano_30b_a3b(),
        vision=c_radio_v4_h(),
        projector_hidden_size=20480,
        image_token_id=18,
        video_token_id=131081,
    )
