"""Nemotron Nano V2 VL: the tensor names of Omni, with a dense language model and no tubelets.

Two things its `config.json` may leave open are taken from the folder's other files: how many
rows the embeddings have, for three tokens were added to the text model's vocabulary, and the
id of `<image>`.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...data.placeholders import IMAGE_TOKEN
from ...data.processor_files import read_json
from ..config import VisionLanguageConfig
from . import nemotron_h_omni
from .names import labelled
from .nemotron_h_omni_config import V2_LABEL, is_legacy_omni
from .nemotron_nano_vl_v2_config import config_from_json, config_to_json
from .shards import INDEX_FILE, SINGLE_FILE, ShardReader

_EMBEDDINGS = "language_model.embeddings.weight"
_is_labelled = labelled(V2_LABEL)


def _complete(
    config: VisionLanguageConfig, values: Mapping[str, Any], folder: Path
) -> VisionLanguageConfig:
    if values.get("img_context_token_id") is None:
        idx = _added_token_id(folder, IMAGE_TOKEN)
        config = config if idx is None else replace(config, image_token_id=idx)
    if not any((folder / name).is_file() for name in (SINGLE_FILE, INDEX_FILE)):
        return config
    with ShardReader(folder) as reader:
        for name in reader.files:
            place = nemotron_h_omni.place(name)
            if place is not None and place.name == _EMBEDDINGS:
                text = replace(config.text, vocab_size=reader.shape(name)[0])
                return replace(config, text=text)
    return config


def _added_token_id(folder: Path, token: str) -> int | None:
    path = folder / "tokenizer.json"
    added = read_json(path).get("added_tokens", []) if path.is_file() else []
    return next((each["id"] for each in added if each.get("content") == token), None)


def _constants(config: VisionLanguageConfig) -> dict[str, Tensor]:
    """What the release holds beside the model: the normalisation, which the processor does."""
    conditioner = "vision_model.radio_model.input_conditioner."
    vision = config.radio
    return {
        **nemotron_h_omni.summary_idxs(config),
        f"{conditioner}norm_mean": torch.tensor(vision.image_mean).view(3, 1, 1),
        f"{conditioner}norm_std": torch.tensor(vision.image_std).view(3, 1, 1),
    }


FAMILY = replace(
    nemotron_h_omni.FAMILY,
    name=V2_LABEL,
    recognises=lambda values: _is_labelled(values) and not is_legacy_omni(values),
    read_config=lambda values, strict: config_from_json(values, strict=strict),
    write_config=config_to_json,
    complete=_complete,
    constants=_constants,
)
