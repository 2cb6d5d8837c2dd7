"""`config.json` of Nemotron Nano V2 VL to `VisionLanguageConfig` and back.

Read as Omni's, from the released keys. Written are the released keys alone, with the tower's
sizes beside the `args` in which the release hides them.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...vision_encoder.radio import RadioConfig
from ..config import VisionLanguageConfig
from . import nemotron_h_config
from .nemotron_h_omni_config import (
    TOWERS,
    V2_LABEL,
    vision_to_json,
)
from .nemotron_h_omni_config import config_from_json as omni_from_json

IMAGE_TOKEN_ID = 131072  # of the 12B, whose text vocabulary ends there
TEACHERS = ("clip", "siglip", "dino_v2", "sam")

# What the release says beside the sizes, for readers that look for it.
CONSTANTS: dict[str, Any] = {
    "force_image_size": 512,
    "image_tag_type": "internvl",
    "img_context_token": "<image>",
    "img_end_token": "</img>",
    "img_start_token": "<img>",
    "ps_version": "v2",
    "template": "n5h_5p5_nanov2",
    "use_thumbnail": True,
    "video_context_token": "<video>",
}


def config_from_json(values: Mapping[str, Any], *, strict: bool = False) -> VisionLanguageConfig:
    """Read the configuration of a Nano V2 VL model.

    Raises:
        ConfigError: a part is missing or a value is not supported, or `strict` and an
            unknown key.
    """
    config = omni_from_json(values, strict=strict, family=V2_LABEL, image_token_id=IMAGE_TOKEN_ID)
    if values.get("auto_map"):
        # Nothing here runs it, but no other reader opens such a folder without.
        config = replace(config, extra={**config.extra, "auto_map": values["auto_map"]})
    return config


def config_to_json(config: VisionLanguageConfig) -> dict[str, Any]:
    """The configuration with the released keys."""
    vision = config.radio
    extra = dict(config.extra)
    tower = {"args": _args(vision), **extra.pop("vision_config", {}), **vision_to_json(vision)}
    text = nemotron_h_config.config_to_json(config.text)
    if "E" not in config.text.hybrid_override_pattern:
        del text["n_routed_experts"]  # by which readers tell an early Omni model from this one
    written = {
        **CONSTANTS,
        "max_sequence_length": config.text.max_position_embeddings,
        **extra,
        "architectures": [V2_LABEL],
        "downsample_ratio": config.downsample_ratio,
        "img_context_token_id": config.image_token_id,
        "llm_config": {**text, "architectures": [nemotron_h_config.ARCHITECTURE]},
        "model_type": V2_LABEL,
        "norm_mean": list(vision.image_mean),
        "norm_std": list(vision.image_std),
        "patch_size": vision.patch_size,
        "projector_hidden_size": config.projector_hidden_size,
        "video_pruning_rate": config.video_pruning_rate,
        "vision_config": dict(sorted(tower.items())),
        "vit_hidden_size": vision.hidden_size,
    }
    if config.video_token_id is not None:
        written["video_context_token_id"] = config.video_token_id
    return dict(sorted(written.items()))


def _args(vision: RadioConfig) -> dict[str, Any]:
    """The tower as its own code is told of it; nothing for a tower that has no name there."""
    sizes = (vision.hidden_size, vision.num_layers, vision.num_heads)
    names = [name for name, known in TOWERS.items() if known == sizes]
    if not names or vision.num_cls_tokens != len(TEACHERS):
        return {}
    return {
        "cls_token_per_teacher": True,
        "cpe_max_size": vision.pos_grid * vision.patch_size,
        "model": names[0],
        "register_multiple": vision.num_prefix_tokens,
        "teachers": [{"name": name} for name in TEACHERS],
    }
