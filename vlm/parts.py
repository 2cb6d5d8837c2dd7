"""A model of your own parts: a tower, the projector and a language model, as one checkpoint.

    model = build(vision=library_tower("timm", "vit_small_patch16_224"), text=preset(...))
    save(model, "folder", tokenizer="folder of a tokenizer")

and `latentvlm.load("folder")` opens it. See `docs/own_parts.md`.
"""

from dataclasses import replace
from pathlib import Path

import tokenizers
import torch

from ..data.image_transform import ImageConfig
from ..data.placeholders import IMAGE_TOKEN
from ..data.processor_files import write_processor_files
from ..errors import CheckpointError, ConfigError
from ..vision_encoder.library_tower import library_tower, tower_config
from ..vision_encoder.picture_tower import PictureTower
from ..vision_encoder.radio import RadioEncoder
from .checkpoint import save_model
from .checkpoint.own_parts_config import MODEL_TYPE, text_family_of
from .config import LanguageConfig, TowerConfig, VisionLanguageConfig
from .language_model import LanguageModel
from .model import VisionLanguageModel

__all__ = ["build", "library_tower", "save"]


def build(
    *,
    vision: TowerConfig | RadioEncoder | PictureTower,
    text: LanguageConfig | LanguageModel,
    projector_hidden_size: int | None = None,
    image_token_id: int = 18,
) -> VisionLanguageModel:
    """Join a tower and a language model by a new projector.

    Args:
        vision: a configuration, for random weights (`library_tower(...)` or a `RadioConfig`), or
            a tower with its weights, such as `TimmEncoder(name, weights=...)`.
        text: a configuration, for random weights, or a language model with its weights, such
            as `load_model(folder)` opens.
        projector_hidden_size: four times the tower's width if None, which is its input.
        image_token_id: the tokenizer's id of `<image>`.

    Raises:
        ConfigError: a part cannot be built or cannot be written.
    """
    if isinstance(vision, PictureTower):
        tower: TowerConfig = tower_config(vision)
    else:
        tower = vision.config if isinstance(vision, RadioEncoder) else vision
    language = text.config if isinstance(text, LanguageModel) else text
    text_family_of(language)
    if isinstance(text, LanguageModel) and text.mtp is None:
        # a release without its draft head, or one that went on without it
        language = replace(language, num_nextn_predict_layers=0)
    config = VisionLanguageConfig(
        text=language,
        vision=tower,
        projector_hidden_size=projector_hidden_size or 4 * tower.hidden_size,
        image_token_id=image_token_id,
        family=MODEL_TYPE,
    )
    return VisionLanguageModel(
        config,
        vision_encoder=vision if isinstance(vision, RadioEncoder | PictureTower) else None,
        language_model=text if isinstance(text, LanguageModel) else None,
    )


def save(
    model: VisionLanguageModel,
    folder: str | Path,
    *,
    tokenizer: str | Path,
    min_num_patches: int = 256,
    max_num_patches: int = 4096,
    dtype: torch.dtype | None = None,
) -> None:
    """Write a folder that `load` opens and asks: weights, tokenizer, and how pictures are cut.

    Args:
        tokenizer: the folder of a tokenizer with its chat template; it knows `<image>`, `<img>`
            and `</img>`.
        min_num_patches, max_num_patches: of one picture, by which its size is chosen.
        dtype: number format of the weights; as they are if None.

    Raises:
        CheckpointError: the tokenizer lacks a file or is none.
        ConfigError: its `<image>` is not the model's `image_token_id`, or it has more tokens
            than the model has embeddings.
    """
    config = model.config
    path = Path(tokenizer) / "tokenizer.json"
    if not path.is_file():
        raise CheckpointError(f"{tokenizer} has no tokenizer.json.")
    known = tokenizers.Tokenizer.from_file(str(path))
    found = known.token_to_id(IMAGE_TOKEN)
    if found != config.image_token_id:
        raise ConfigError(
            f"{path} has the id {found} for {IMAGE_TOKEN}, but the model was built with "
            f"image_token_id {config.image_token_id}; build it with that of the tokenizer."
        )
    largest = max(known.get_vocab().values())
    if largest >= config.text.vocab_size:
        raise ConfigError(
            f"{path} has ids up to {largest}, but the model has embeddings for "
            f"{config.text.vocab_size} only."
        )
    write_processor_files(
        folder,
        tokenizer_folder=tokenizer,
        image_config=ImageConfig(
            patch_size=config.vision.patch_size,
            downsample_ratio=config.downsample_ratio,
            min_num_patches=min_num_patches,
            max_num_patches=max_num_patches,
            max_model_len=config.text.max_position_embeddings,
            image_mean=config.vision.image_mean,
            image_std=config.vision.image_std,
        ),
        video_temporal_patch_size=config.frames_per_tubelet,
    )
    save_model(model, folder, dtype=dtype)
