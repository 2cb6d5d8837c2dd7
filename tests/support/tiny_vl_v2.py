"""A small random Nano V2 VL folder, as a release lays it out."""

import json
from dataclasses import replace
from pathlib import Path

import tokenizers
import torch

from latentvlm.data.tokenizer import TOKENIZER_FILES, train_tokenizer
from latentvlm.vlm.checkpoint import save_model
from latentvlm.vlm.config import VisionLanguageConfig
from latentvlm.vlm.model import VisionLanguageModel
from latentvlm.vlm.presets import tiny

from .tiny_model import TEXTS, random_model

TILE, PATCH = 32, 8


def tiny_vl_v2_config() -> VisionLanguageConfig:
    """Dense, without tubelets; three tokens of pictures behind a text vocabulary of 320."""
    base = tiny()
    return replace(
        base,
        text=replace(
            base.text,
            vocab_size=328,
            hybrid_override_pattern="M-*M-",
            num_nextn_predict_layers=0,
            moe_latent_size=None,
            n_routed_experts=8,  # what an absent key means
        ),
        vision=replace(base.vision, video_temporal_patch_size=None, num_registers=3),
        image_token_id=320,
        family="NemotronH_Nano_VL_V2",
    )


def write_tiny_vl_v2(folder: Path) -> VisionLanguageModel:
    """Weights, config.json with its tile size, and a tokenizer; no preprocessor_config.json."""
    model = random_model(tiny_vl_v2_config())
    train_tokenizer(TEXTS, vocab_size=320, folder=folder)
    for name in TOKENIZER_FILES[:2]:
        text = (folder / name).read_text()
        for token, idx in [("<image>", 18), ("<img>", 21), ("</img>", 22), ("<video>", 23)]:
            text = text.replace(f'"{token}"', f'"<SPECIAL_{idx}>"')
        (folder / name).write_text(text)
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_special_tokens(["<image>", "<img>", "</img>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    save_model(model, folder)
    values = json.loads((folder / "config.json").read_text())
    values |= {"force_image_size": TILE, "max_num_tiles": 6, "dtype": "float32"}
    # A release says the text model's vocabulary, and leaves the id of <image> to its tokenizer.
    values["llm_config"]["vocab_size"] = 320
    del values["img_context_token_id"]
    (folder / "config.json").write_text(json.dumps(values))
    assert all(each.dtype == torch.float32 for each in model.parameters())
    return model
