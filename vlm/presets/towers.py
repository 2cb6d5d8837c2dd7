"""The vision towers of the released models: C-RADIO, a ViT-H/16 with ten class tokens.

Of v2 to v4 the sizes are the same; v4 as used by Omni has a second embedder for pairs of frames.
"""

from dataclasses import replace

from ...vision_encoder.radio import RadioConfig


def c_radio_v2_h() -> RadioConfig:
    """C-RADIOv2-H: a token for each of four teachers, and six registers."""
    return RadioConfig(
        hidden_size=1280,
        num_layers=32,
        num_heads=16,
        intermediate_size=5120,
        patch_size=16,
        pos_grid=128,
        num_cls_tokens=4,
        num_registers=6,
    )


def c_radio_v4_h() -> RadioConfig:
    """C-RADIOv4-H with the embedder for video, as in Nemotron 3 Nano Omni."""
    return replace(c_radio_v2_h(), video_temporal_patch_size=2)
