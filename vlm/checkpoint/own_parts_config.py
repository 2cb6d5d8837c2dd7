"""`config.json` of a model of one's own parts to `VisionLanguageConfig` and back.

    {"model_type": "latentvlm", "architectures": ["LatentVLM"],
     "vision_config": {"library": "timm", "name": ..., "model_args": {...}, ...},
     "text_config": {the config.json of the language model's own family},
     "projector_hidden_size": ..., "downsample_ratio": 0.5, "image_token_id": ...}

The tower is of timm, open_clip, or `"library": "radio"` with the keys of a RADIO tower. See
`docs/own_parts.md`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...errors import ConfigError
from ...vision_encoder.library_tower import LIBRARIES, LibraryTower, library_tower
from ...vision_encoder.radio import RadioConfig
from ..config import LanguageConfig, TowerConfig, VisionLanguageConfig
from .json_keys import Keys
from .names import Family, labels
from .nemotron_h_omni_config import vision_from_json, vision_to_json
from .text_families import TEXT_FAMILIES

MODEL_TYPE = "latentvlm"
ARCHITECTURE = "LatentVLM"
RADIO = "radio"


def text_family_of(config: LanguageConfig) -> Family:
    """The family of a language model.

    Raises:
        ConfigError: there is none of that name.
    """
    for family in TEXT_FAMILIES:
        if family.name == config.family:
            return family
    known = ", ".join(family.name for family in TEXT_FAMILIES)
    raise ConfigError(f"The text model's family is {config.family!r}; known are {known}.")


def config_from_json(values: Mapping[str, Any], *, strict: bool = False) -> VisionLanguageConfig:
    """Read the configuration of a model of one's own parts.

    Raises:
        ConfigError: a part is missing or unknown, a value is not supported, or `strict` and an
            unknown key.
    """
    keys = Keys(values, where="config.json")
    parts: dict[str, dict[str, Any]] = {}
    for key in ("vision_config", "text_config"):
        parts[key] = keys.take(key, {})
        if not parts[key]:
            raise ConfigError(f"config.json has no {key}; a {MODEL_TYPE} model needs one.")
    hidden, ratio = keys.take("projector_hidden_size", 4096), keys.take("downsample_ratio", 0.5)
    image_id, video_id = keys.take("image_token_id", 18), keys.take("video_token_id")
    pruning = keys.take("video_pruning_rate", 0.0)
    extra = keys.rest(known=(), strict=strict)
    tower, vision_rest = tower_from_json(parts["vision_config"], strict=strict)
    if vision_rest:
        extra["vision_config"] = vision_rest
    return VisionLanguageConfig(
        text=_text_from_json(parts["text_config"], strict=strict),
        vision=tower,
        projector_hidden_size=hidden,
        downsample_ratio=ratio,
        image_token_id=image_id,
        video_token_id=video_id,
        video_pruning_rate=pruning,
        family=MODEL_TYPE,
        extra=extra,
    )


def config_to_json(config: VisionLanguageConfig) -> dict[str, Any]:
    """The configuration as this format has it, but for `dtype`."""
    extra = dict(config.extra)
    tower = {**extra.pop("vision_config", {}), **_tower_to_json(config.vision)}
    return {
        **extra,
        "architectures": [ARCHITECTURE],
        "downsample_ratio": config.downsample_ratio,
        "image_token_id": config.image_token_id,
        "model_type": MODEL_TYPE,
        "projector_hidden_size": config.projector_hidden_size,
        "text_config": text_family_of(config.text).write_config(config.text),
        "video_pruning_rate": config.video_pruning_rate,
        "video_token_id": config.video_token_id,
        "vision_config": dict(sorted(tower.items())),
    }


def _text_from_json(values: Mapping[str, Any], *, strict: bool) -> LanguageConfig:
    found = [family for family in TEXT_FAMILIES if family.recognises(values)]
    if len(found) != 1:
        named = ", ".join(sorted(labels(values))) or "nothing"
        known = ", ".join(family.name for family in TEXT_FAMILIES)
        raise ConfigError(
            f"config.json: text_config names {named}; it must name one of {known} as model_type."
        )
    config = found[0].read_config(values, strict)
    assert isinstance(config, LanguageConfig)
    return config


def tower_from_json(
    values: Mapping[str, Any], *, strict: bool
) -> tuple[TowerConfig, dict[str, Any]]:
    """A tower by its `vision_config`, and the keys that nothing reads.

    Raises:
        ConfigError: there is no such tower, a value is not supported, or `strict` and an unknown
            key.
    """
    library = values.get("library")
    rest = {key: value for key, value in values.items() if key != "library"}
    if library == RADIO:
        return vision_from_json(rest, 0, strict=strict)
    keys = Keys(rest, where="config.json: vision_config")
    name = keys.take("name", "")
    if not isinstance(library, str) or library not in LIBRARIES or not name:
        raise ConfigError(
            f"config.json: vision_config names the tower {name!r} of the library {library!r}; "
            f"it needs a name, and a library that is {', '.join(LIBRARIES)} or {RADIO}."
        )
    model_args = keys.take("model_args", {})
    sizes = {key: keys.take(key, 0) for key in ("hidden_size", "patch_size")}
    norms = {key: keys.take(key, [0.0]) for key in ("image_mean", "image_std")}
    eps = keys.take("layer_norm_eps", 1e-6)
    given: dict[str, Any] = {key: value for key, value in sizes.items() if value}
    for key, value in norms.items():
        if len(value) == 3:
            given[key] = tuple(value)
        elif value != [0.0]:
            raise ConfigError(f"config.json: vision_config needs three numbers in {key}.")
    left = keys.rest(known=(), strict=strict)
    if len(given) == 4:
        return (
            LibraryTower(
                library=library, name=name, model_args=model_args, layer_norm_eps=eps, **given
            ),
            left,
        )
    # Written by hand: what it leaves open the tower itself says.
    tower = library_tower(library, name, model_args=model_args)
    return replace(tower, layer_norm_eps=eps, **given), left


def _tower_to_json(tower: TowerConfig) -> dict[str, Any]:
    if isinstance(tower, RadioConfig):
        return {"library": RADIO, **vision_to_json(tower)}
    return {
        "library": tower.library,
        "name": tower.name,
        "model_args": dict(tower.model_args),
        "hidden_size": tower.hidden_size,
        "patch_size": tower.patch_size,
        "image_mean": list(tower.image_mean),
        "image_std": list(tower.image_std),
        "layer_norm_eps": tower.layer_norm_eps,
    }
