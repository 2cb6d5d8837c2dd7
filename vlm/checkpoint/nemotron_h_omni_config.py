"""`config.json` of Nemotron Omni to `VisionLanguageConfig` and back.

Read are the released names (`llm_config`, `img_context_token_id`, tower sizes hidden in
`vision_config.args`) and those of transformers (`text_config`, `image_token_id`).

Sound is not heard. The configuration of a sound encoder is kept, but under a key that no
reader knows: under its own they would build an encoder for which no weights are written.
"""

from collections.abc import Mapping
from typing import Any

from ...errors import ConfigError
from ...vision_encoder.radio import RadioConfig
from ..config import VisionLanguageConfig
from . import nemotron_h_config
from .json_keys import Keys
from .names import labels

ARCHITECTURE = "NemotronH_Omni_Reasoning_V3"
MODEL_TYPE = "nemotron_h_omni"
V2_LABEL = "NemotronH_Nano_VL_V2"  # of a family of its own, and of early exports of this one
LEFT_ASIDE_AUDIO = "left_aside_audio_config"

# Keys of a tower that have another name here, for messages.
SPELLING = {
    "num_heads": "num_attention_heads",
    "num_layers": "num_hidden_layers",
    "intermediate_size": "hidden_size x mlp_ratio",
    "pos_grid": "max_img_size / patch_size",
}

# hidden size, layers, heads of the towers that a released config names and does not describe
TOWERS = {
    "vit_base_patch16_224": (768, 12, 12),
    "vit_large_patch16_224": (1024, 24, 16),
    "vit_huge_patch16_224": (1280, 32, 16),
}

UNREAD = frozenset(
    [
        "force_image_size",
        "template",
        "max_sequence_length",
        "use_thumbnail",
        "image_tag_type",
        "patch_size",
        "vit_hidden_size",
        "vision_hidden_size",
        "video_temporal_patch_size",
        "norm_mean",
        "norm_std",
        "img_context_token",
        "img_start_token",
        "img_end_token",
        "video_context_token",
        "sound_context_token",
        "sound_context_token_id",
        "audio_token_id",
        "bos_token_id",
        "eos_token_id",
        "pad_token_id",
        "tie_word_embeddings",
        "max_num_tiles",
        LEFT_ASIDE_AUDIO,
    ]
)
VISION_UNREAD = frozenset(
    [
        "args",
        "version",
        "preferred_resolution",
        "max_resolution",
        "adaptor_names",
        "adaptor_configs",
        "feature_normalizer_config",
        "inter_feature_normalizer_config",
        "vitdet_window_size",
        "image_size",
        "patch_dim",
        "video_patch_dim",
        "attention_probs_dropout_prob",
        "hidden_dropout_prob",
        "drop_path_rate",
        "video_target_num_patches",
        "video_maintain_aspect_ratio",
        "separate_video_embedder",
        "min_num_patches",
        "max_num_patches",
    ]
)


def is_legacy_omni(values: Mapping[str, Any]) -> bool:
    """Whether a `config.json` with the label of Nano V2 VL is an Omni model: one with experts."""
    text = values.get("llm_config") or values.get("text_config")
    if not isinstance(text, Mapping):
        return False
    pattern = text.get("hybrid_override_pattern")
    if pattern is None:
        pattern = ["E" if each == "moe" else each for each in text.get("layers_block_type") or "E"]
    is_labelled = V2_LABEL in labels(values)
    return is_labelled and bool(text.get("n_routed_experts")) and "E" in pattern


def config_from_json(
    values: Mapping[str, Any],
    *,
    strict: bool = False,
    family: str = MODEL_TYPE,
    image_token_id: int = 18,
) -> VisionLanguageConfig:
    """Read the configuration of an Omni model, or of another family with the same keys.

    Args:
        image_token_id: what an absent key means.

    Raises:
        ConfigError: a part is missing or a value is not supported, or `strict` and an
            unknown key.
    """
    keys = Keys(values, where="config.json")
    text = keys.take("text_config", aliases=["llm_config"])
    if not isinstance(text, dict):
        raise ConfigError("config.json has neither text_config nor llm_config.")
    vision: dict[str, Any] = keys.take("vision_config", {})
    # Readers of the V2 label take frames one by one unless they are told otherwise.
    frames = keys.take("video_temporal_patch_size", 0 if V2_LABEL in labels(values) else 2)
    keys.require("ps_version", ["v2"])
    audio = keys.take("audio_config", aliases=["sound_config"])
    hidden = keys.take("projector_hidden_size", 4096)
    ratio = keys.take("downsample_ratio", 0.5)
    pruning = keys.take("video_pruning_rate", 0.0)
    image_id = keys.take("image_token_id", aliases=["img_context_token_id"])
    video_id = keys.take("video_token_id", aliases=["video_context_token_id"])
    pixels = {key: values[key] for key in ("norm_mean", "norm_std") if values.get(key)}
    if vision.get("video_temporal_patch_size", frames) is None:
        frames = 0
    tower, vision_rest = vision_from_json({**pixels, **vision}, frames, strict=strict)
    extra = keys.rest(known=UNREAD, strict=strict)
    if vision_rest:
        extra["vision_config"] = vision_rest
    if audio:
        extra[LEFT_ASIDE_AUDIO] = audio
    return VisionLanguageConfig(
        text=nemotron_h_config.config_from_json(
            text, strict=strict, where="config.json: text_config"
        ),
        vision=tower,
        projector_hidden_size=hidden,
        downsample_ratio=ratio,
        image_token_id=image_token_id if image_id is None else image_id,
        video_token_id=video_id,
        video_pruning_rate=pruning,
        family=family,
        extra=extra,
    )


def config_to_json(config: VisionLanguageConfig) -> dict[str, Any]:
    """The configuration as transformers opens it, with the released names beside its own."""
    vision = config.radio
    extra = dict(config.extra)
    tower = {**extra.pop("vision_config", {}), **vision_to_json(vision)}
    frames = vision.video_temporal_patch_size or 2
    eos = config.text.eos_token_id
    return {
        **extra,
        "architectures": [ARCHITECTURE],
        "audio_config": None,
        "bos_token_id": config.text.bos_token_id,
        "downsample_ratio": config.downsample_ratio,
        "eos_token_id": list(eos) if isinstance(eos, tuple) else eos,
        "image_token_id": config.image_token_id,
        "img_context_token_id": config.image_token_id,
        "model_type": MODEL_TYPE,
        "norm_mean": list(vision.image_mean),
        "norm_std": list(vision.image_std),
        "pad_token_id": config.text.pad_token_id,
        "patch_size": vision.patch_size,
        "projector_hidden_size": config.projector_hidden_size,
        "ps_version": "v2",
        "text_config": nemotron_h_config.config_to_json(config.text),
        "tie_word_embeddings": False,
        "video_pruning_rate": config.video_pruning_rate,
        "video_temporal_patch_size": frames,
        "video_token_id": config.video_token_id,
        "vision_config": dict(sorted(tower.items())),
        "vision_hidden_size": vision.hidden_size,
        "vit_hidden_size": vision.hidden_size,
    }


def vision_from_json(
    values: Mapping[str, Any], frames: int, *, strict: bool
) -> tuple[RadioConfig, dict[str, Any]]:
    """A RADIO tower and the keys that nothing reads; `frames` a tubelet unless they say so."""
    keys = Keys(values, where="config.json: vision_config")
    for key, only in [
        ("qkv_bias", True),
        ("use_swiglu_ffn", False),
        ("hidden_act", "gelu"),
        ("num_channels", 3),
        ("layerscale_value", 1.0),
    ]:
        keys.require(key, [only])
    args = values.get("args") or {}
    if not isinstance(args, Mapping):
        raise ConfigError(f"config.json: vision_config has args {args!r}, which is no object.")
    name = args.get("model", "vit_huge_patch16_224")
    if args and name not in TOWERS:
        raise ConfigError(f"vision_config names the tower {name!r}; known are {', '.join(TOWERS)}.")
    width, layers, heads = TOWERS[name]
    num_cls, num_registers = _prefix_tokens(args)
    width = keys.take("hidden_size", width)
    frames = keys.take("video_temporal_patch_size", frames)
    if frames > 1:
        keys.require("separate_video_embedder", [True])
    patch = keys.take("patch_size", 16)
    if patch < 1:
        raise ConfigError(f"config.json: vision_config has patch_size {patch}; 1 is the least.")
    limit = keys.take("max_img_size", args.get("cpe_max_size", 2048))
    summary = keys.take("summary_idxs", [0, 1])
    mean = keys.take("norm_mean", RadioConfig.image_mean)
    std = keys.take("norm_std", RadioConfig.image_std)
    if len(mean) != 3 or len(std) != 3:
        raise ConfigError(
            "config.json: vision_config needs three numbers in norm_mean and norm_std."
        )
    with keys.spelling(SPELLING):
        tower = RadioConfig(
            hidden_size=width,
            num_layers=keys.take("num_hidden_layers", layers),
            num_heads=keys.take("num_attention_heads", heads),
            intermediate_size=int(width * keys.take("mlp_ratio", 4.0)),
            patch_size=patch,
            pos_grid=limit // patch,
            num_cls_tokens=keys.take("num_cls_tokens", num_cls),
            num_registers=keys.take("num_registers", num_registers),
            summary_idxs=tuple(summary),
            layer_norm_eps=keys.take("layer_norm_eps", 1e-6),
            video_temporal_patch_size=frames or None,
            image_mean=(mean[0], mean[1], mean[2]),
            image_std=(std[0], std[1], std[2]),
            initializer_range=keys.take("initializer_range", 0.02),
        )
    return tower, keys.rest(known=VISION_UNREAD, strict=strict)


def _prefix_tokens(args: Mapping[str, Any]) -> tuple[int, int]:
    """Class tokens and registers of a released tower: one of the former a distinct teacher."""
    if not args:
        return 3, 7
    teachers = {teacher.get("name") for teacher in args.get("teachers", [])}
    num_cls = max(1, len(teachers)) if args.get("cls_token_per_teacher") else 1
    registers = args.get("num_registers")
    if registers is None:
        multiple = args.get("register_multiple") or 1
        registers = multiple - num_cls % multiple if multiple > 1 else 0
    return num_cls, registers


def vision_to_json(config: RadioConfig) -> dict[str, Any]:
    return {
        "hidden_act": "gelu",
        "hidden_size": config.hidden_size,
        "image_size": config.pos_grid * config.patch_size,
        "initializer_range": config.initializer_range,
        "layer_norm_eps": config.layer_norm_eps,
        "max_img_size": config.pos_grid * config.patch_size,
        "mlp_ratio": _ratio(config),
        "model_type": "radio",
        "norm_mean": list(config.image_mean),
        "norm_std": list(config.image_std),
        "num_attention_heads": config.num_heads,
        "num_cls_tokens": config.num_cls_tokens,
        "num_hidden_layers": config.num_layers,
        "num_registers": config.num_registers,
        "patch_size": config.patch_size,
        "qkv_bias": True,
        "summary_idxs": list(config.summary_idxs),
        "video_temporal_patch_size": config.video_temporal_patch_size,
    }


def _ratio(config: RadioConfig) -> float:
    """MLP width over width; readers multiply and cut, so a hair is added where that loses one."""
    ratio = config.intermediate_size / config.hidden_size
    if int(config.hidden_size * ratio) != config.intermediate_size:
        ratio = (config.intermediate_size + 0.5) / config.hidden_size
    return ratio
