"""What the model of a recipe is: a preset's shapes, or those of the folder that it starts with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import ConfigError
from ..api import PRETRAINED
from ..checkpoint import load_config
from ..checkpoint.own_parts_config import MODEL_TYPE, tower_from_json
from ..config import LanguageConfig, VisionLanguageConfig
from ..presets import preset
from .recipe import Recipe
from .settings import Start
from .state import newest_weights


def model_config(recipe: Recipe) -> VisionLanguageConfig:
    """The preset's architecture with the recipe's tower, if it names one.

    The vocabulary is that of what it starts from, if anything.

    Raises:
        ConfigError: there is no such preset or tower.
    """
    folder = start_folder(recipe)
    config = preset(recipe.preset) if folder is None else load_config(folder)
    if recipe.tower is not None:
        config = _with_tower(config, recipe.tower)
    if not isinstance(config, VisionLanguageConfig):
        raise ConfigError(
            f"{folder or f'preset {recipe.preset!r}'} is a language model; choose one with a "
            "tower, or name one as tower"
        )
    return replace(config, text=replace(config.text, vocab_size=_vocab_size(recipe)))


def start_folder(recipe: Recipe) -> Path | None:
    """The model folder that gives the architecture, where `preset` is `start`.

    Raises:
        ConfigError: it is, and the recipe starts with no such folder.
    """
    if recipe.preset != "start":
        return None
    for start in recipe.start:
        if start.model and "language_model" in start.parts:
            return model_folder(start)
    raise ConfigError("preset is start, but no model in start gives a language_model")


def _with_tower(
    config: VisionLanguageConfig | LanguageConfig, values: Mapping[str, Any]
) -> VisionLanguageConfig:
    """A model of one's own parts: a tower before the preset's language model."""
    try:
        tower, _ = tower_from_json(values, strict=True)
    except ConfigError as error:
        said = str(error).replace("config.json: vision_config", "the recipe's tower")
        raise ConfigError(said if said != str(error) else f"the recipe's tower: {said}") from error
    return VisionLanguageConfig(
        text=config.text if isinstance(config, VisionLanguageConfig) else config,
        vision=tower,
        projector_hidden_size=4 * tower.hidden_size,
        image_token_id=VisionLanguageConfig.image_token_id,
        family=MODEL_TYPE,
    )


def _vocab_size(recipe: Recipe) -> int:
    for start in recipe.start:
        if "language_model" in start.parts and start.model:
            given = load_config(model_folder(start))
            text = given.text if isinstance(given, VisionLanguageConfig) else given
            return text.vocab_size
        if "language_model" in start.parts and start.run:
            tensors = newest_weights(Path(start.run) / "checkpoints")
            return len(tensors["model.language_model.embeddings.weight"])
    return recipe.tokenizer.vocab_size


def model_folder(start: Start) -> Path:
    """The folder of a `start` that names a model."""
    return PRETRAINED if start.model == "default" else Path(start.model)


def given_tokenizer(recipe: Recipe) -> Path | None:
    """The folder of a tokenizer that is not to be learnt."""
    if recipe.tokenizer.folder:
        return Path(recipe.tokenizer.folder)
    for start in recipe.start:
        if "language_model" in start.parts:
            return Path(start.run) / "processor" if start.run else model_folder(start)
    return None
