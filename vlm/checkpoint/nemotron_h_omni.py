"""Tensor names of Nemotron Omni: a RADIO tower, a projector and a Nemotron-H model.

disk                                    ours
vision_model.radio_model.model.X        vision_encoder.X
vision_projector.vision_final_layernorm.X, vision_final_layernorm.X
                                        vision_final_layernorm.X
mlp1.{0,1,3}.weight                     projector.{norm,linear_1,linear_2}.weight
language_model.X                        language_model.(as nemotron_h.X)
mtp.X                                   language_model.mtp.X

Some exports spell the tower as transformers' RADIO does, under `vision_model.embeddings.` and
`vision_model.encoder.layer.N.`, with query, key and value apart; they are read, not written.
"""

import re

import torch
from torch import Tensor

from ..config import VisionLanguageConfig
from . import nemotron_h
from .names import Family, Place, labelled
from .nemotron_h_omni_config import (
    ARCHITECTURE,
    MODEL_TYPE,
    config_from_json,
    config_to_json,
    is_legacy_omni,
)

_TOWER = "vision_model.radio_model.model."
_FINAL_NORM = re.compile(r"^(vision_projector\.)?vision_final_layernorm\.(weight|bias)$")
_PROJECTOR = re.compile(
    r"^(?:mlp1\.([013])|vision_projector\.mlp1\.(norm|linear1|linear2)"
    r"|multi_modal_projector\.(layer_norm|linear_1|linear_2))\.weight$"
)
_PROJECTOR_NAMES = {"0": "norm", "1": "linear_1", "3": "linear_2"} | {
    "norm": "norm",
    "layer_norm": "norm",
    "linear1": "linear_1",
    "linear2": "linear_2",
    "linear_1": "linear_1",
    "linear_2": "linear_2",
}
_PROJECTOR_DISK = {"norm": "mlp1.0", "linear_1": "mlp1.1", "linear_2": "mlp1.3"}

# The tower as transformers names it, with the attention of its older versions or of its newer.
_TOWER_TOP = {
    "vision_model.embeddings.patch_projection.weight": "patch_generator.embedder.weight",
    "vision_model.embeddings.video_patch_projection.weight": (
        "patch_generator.video_embedder.weight"
    ),
    "vision_model.embeddings.position_embedding": "patch_generator.pos_embed",
    "vision_model.embeddings.cls_register_token": "patch_generator.cls_token.token",
}
_TOWER_LAYER = re.compile(r"^vision_model\.encoder\.layer\.(\d+)\.(.+)\.(weight|bias)$")
_TOWER_PARTS = {"attention.output.dense": "attn.proj", "attention.o_proj": "attn.proj"} | {
    name: name for name in ("norm1", "norm2", "mlp.fc1", "mlp.fc2")
}
_TOWER_QKV = {
    f"attention.{name}": idx
    for idx, names in enumerate(zip("qkv", ("query", "key", "value"), strict=True))
    for name in (f"{names[0]}_proj", f"attention.{names[1]}")
}

# The tower's own normalisation is done by the processor; which class tokens make the
# summary is the configuration's; sound is not heard; layer scales are ones in C-RADIO.
_LAYER_SCALE = re.compile(r"\.(?:blocks|layer)\.\d+\.(ls[12](\.gamma)?|layer_scale[12]\.lambda1)$")
_LEFT_ASIDE = re.compile(r"^vision_model\.(radio_model\.)?(input_conditioner\.|summary_idxs$)")
_SOUND = re.compile(r"^(sound_encoder|sound_projection|audio_tower|embed_audio)\.")


def place(name: str) -> Place | None:
    """Place of a disk name; None for one this family does not know."""
    if name.startswith("mtp."):
        return _in_language_model(nemotron_h.place(name))
    if name.startswith("language_model."):
        return _in_language_model(nemotron_h.place(name.removeprefix("language_model.")))
    if name.startswith(_TOWER):
        return Place(name="vision_encoder." + name.removeprefix(_TOWER))
    if name in _TOWER_TOP:
        return Place(name="vision_encoder." + _TOWER_TOP[name])
    layer = _TOWER_LAYER.match(name)
    if layer:
        return _in_layer(*layer.groups())
    norm = _FINAL_NORM.match(name)
    if norm:
        return Place(name=f"vision_final_layernorm.{norm[2]}")
    projector = _PROJECTOR.match(name)
    if projector:
        part = next(group for group in projector.groups() if group)
        return Place(name=f"projector.{_PROJECTOR_NAMES[part]}.weight")
    return None


def _in_layer(number: str, part: str, kind: str) -> Place | None:
    block = f"vision_encoder.blocks.{number}"
    if part in _TOWER_QKV:
        return Place(name=f"{block}.attn.qkv.{kind}", expert=_TOWER_QKV[part])
    return Place(name=f"{block}.{_TOWER_PARTS[part]}.{kind}") if part in _TOWER_PARTS else None


def _in_language_model(found: Place | None) -> Place | None:
    return found and Place(name=f"language_model.{found.name}", expert=found.expert)


def disk_name(name: str, expert: int | None) -> str:
    """The released name of a tensor of ours."""
    part, _, rest = name.partition(".")
    if part == "language_model":
        return f"language_model.{nemotron_h.disk_name(rest, expert)}"
    if part == "vision_encoder":
        return _TOWER + rest
    if part == "projector":
        layer, _, kind = rest.partition(".")
        return f"{_PROJECTOR_DISK[layer]}.{kind}"
    return name


def _respell(name: str, tensor: Tensor) -> list[str] | None:
    """The final norm: by its bare name, which is transformers'; 5.24 wants it in any case.

    Once it is more than the identity that readers assume, also under vLLM's name, with a prefix.
    """
    if not name.startswith("vision_final_layernorm."):
        return None
    identity = torch.ones_like(tensor) if name.endswith("weight") else torch.zeros_like(tensor)
    return [name] if torch.equal(tensor, identity) else [name, f"vision_projector.{name}"]


def summary_idxs(config: VisionLanguageConfig) -> dict[str, Tensor]:
    """transformers holds these as a buffer and misses them otherwise."""
    summary = torch.tensor(config.radio.summary_idxs, dtype=torch.int64)
    return {"vision_model.radio_model.summary_idxs": summary}


_is_labelled = labelled(
    MODEL_TYPE,
    ARCHITECTURE,
    "NemotronH_Nano_Omni_Reasoning_V3",
    "NemotronH_Super_Omni_Reasoning_V3",
)

FAMILY = Family(
    name=MODEL_TYPE,
    recognises=lambda values: _is_labelled(values) or is_legacy_omni(values),
    read_config=lambda values, strict: config_from_json(values, strict=strict),
    write_config=config_to_json,
    place=place,
    disk_name=disk_name,
    is_left_aside=lambda name: any(
        pattern.search(name) for pattern in (_LEFT_ASIDE, _LAYER_SCALE, _SOUND)
    ),
    is_sound=lambda name: bool(_SOUND.search(name)),
    must_be_ones=lambda name: bool(_LAYER_SCALE.search(name)),
    may_be_absent=lambda name: name.startswith("vision_final_layernorm."),
    respell=_respell,
    constants=summary_idxs,
)
