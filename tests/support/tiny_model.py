"""A complete small model folder with random weights, for any test that needs one."""

from dataclasses import replace
from pathlib import Path

import torch

from latentvlm.data.image_transform import ImageConfig
from latentvlm.data.processor_files import write_processor_files
from latentvlm.data.tokenizer import train_tokenizer
from latentvlm.vlm.checkpoint import save_model
from latentvlm.vlm.config import VisionLanguageConfig
from latentvlm.vlm.model import VisionLanguageModel
from latentvlm.vlm.presets import tiny

TEXTS = [
    "What is the total of this invoice? It is 1,234.50 EUR, due on 2024-03-17.",
    "How many rows are in the table? There are twelve rows in the table.",
    "Read this line. Who sent the letter to the office of the treasurer?",
]


def tiny_config(**text) -> VisionLanguageConfig:
    """The tiny preset, every kind of block; `text` changes values of its language model."""
    config = tiny()
    return replace(config, text=replace(config.text, **text))


def random_model(config: VisionLanguageConfig, *, seed: int = 0) -> VisionLanguageModel:
    """A model whose every weight is random and large enough to matter."""
    torch.manual_seed(seed)
    model = VisionLanguageModel(config)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.state_dict().items():
            if "vision_final_layernorm" in name or name.endswith(("dt_bias", "A_log")):
                continue
            noise = torch.randn(weight.shape, generator=random)
            if name.endswith(("norm.weight", "norm_f.weight", "mixer.D")) or weight.dim() < 2:
                weight.add_(0.1 * noise)
            else:
                weight.copy_(noise * 0.7 * weight.shape[-1] ** -0.5)
    return model.eval()


def write_tiny_model(
    folder: str | Path,
    seed: int = 0,
    *,
    config: VisionLanguageConfig | None = None,
    dtype: torch.dtype = torch.float32,
    max_shard_bytes: int = 100_000,
) -> VisionLanguageModel:
    """Write a folder that `load` and transformers open: weights, tokenizer, processor files.

    Returns:
        The model that was written, in evaluation mode.
    """
    config = config or tiny_config()
    model = random_model(config, seed=seed)
    train_tokenizer(TEXTS, vocab_size=config.text.vocab_size, folder=folder)
    write_processor_files(
        folder,
        tokenizer_folder=folder,
        image_config=ImageConfig(
            patch_size=config.vision.patch_size,
            min_num_patches=4,
            max_num_patches=256,
            max_model_len=config.text.max_position_embeddings,
            image_mean=config.vision.image_mean,
            image_std=config.vision.image_std,
        ),
    )
    save_model(model, folder, dtype=dtype, max_shard_bytes=max_shard_bytes)
    return model
