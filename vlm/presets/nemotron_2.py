"""The dense hybrids: Nemotron-H (arXiv:2504.03624), Nemotron Nano 2 (2508.14444), Nano V2 VL.

Mamba-2, attention without positions and squared-ReLU MLPs, each a residual block of its own.
"""

from dataclasses import replace

from ..config import LanguageConfig, VisionLanguageConfig
from .towers import c_radio_v2_h


def nemotron_h_8b() -> LanguageConfig:
    """Nemotron-H 8B, from which every other Nemotron derives."""
    return LanguageConfig(
        vocab_size=131072,
        hidden_size=4096,
        hybrid_override_pattern="M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M-",
        mamba_num_heads=128,
        mamba_head_dim=64,
        n_groups=8,
        ssm_state_size=128,
        num_attention_heads=32,
        num_key_value_heads=8,
        head_dim=128,
        intermediate_size=21504,
        max_position_embeddings=8192,
    )


def nemotron_h_4b() -> LanguageConfig:
    """Nemotron-H 4B, pruned from the 8B in width."""
    return replace(nemotron_h_8b(), hidden_size=3072, mamba_num_heads=112, intermediate_size=12288)


def nemotron_h_56b() -> LanguageConfig:
    """Nemotron-H 56B."""
    return replace(
        nemotron_h_8b(),
        hidden_size=8192,
        hybrid_override_pattern="M-M-M-M*" + "-M-M-M-M-M*" * 9 + "-M-M-M-M-M-",
        mamba_num_heads=256,
        ssm_state_size=256,
        num_attention_heads=64,
        intermediate_size=32768,
    )


def nemotron_h_47b() -> LanguageConfig:
    """Nemotron-H 47B, pruned from the 56B in depth and width."""
    return replace(
        nemotron_h_56b(),
        hybrid_override_pattern=(
            "M-M-M-M-M-M-M-M-M*-M-M-M-M-M-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*"
            "-M-M-M-M-M-M-M---MM---M-M*-M-M-M-M-M-"
        ),
        intermediate_size=30720,
    )


def nano_12b_v2() -> LanguageConfig:
    """Nemotron Nano 12B v2: 28 Mamba-2, 28 MLP and 6 attention layers."""
    return replace(
        nemotron_h_8b(),
        hidden_size=5120,
        hybrid_override_pattern="M-M-M-M*" + "-M-M-M-M*" * 5 + "-M-M-M-M-",
        mamba_head_dim=80,
        num_attention_heads=40,
        intermediate_size=20480,
        max_position_embeddings=131072,
    )


def nano_9b_v2() -> LanguageConfig:
    """Nemotron Nano 9B v2, pruned from the 12B; its Mamba layers keep their size."""
    return replace(
        nano_12b_v2(),
        hidden_size=4480,
        hybrid_override_pattern="M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-",
        intermediate_size=15680,
    )


def nano_12b_v2_vl() -> VisionLanguageConfig:
    """Nemotron Nano 12B v2 VL: tiles of 512 pixels, 256 visual tokens each.

    The vocabulary holds `<image>`, `<img>` and `</img>` behind the text model's; 131200 rows
    are what the size of the released files asks for.
    """
    return VisionLanguageConfig(
        text=replace(nano_12b_v2(), vocab_size=131200),
        vision=c_radio_v2_h(),
        projector_hidden_size=20480,
        image_token_id=131072,
        family="NemotronH_Nano_VL_V2",
    )
