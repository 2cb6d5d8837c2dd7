"""A checkpoint folder of a tiny random model, and a picture to ask it about."""

from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw

from latentvlm.data.image_transform import ImageConfig
from latentvlm.data.processor_files import write_processor_files
from latentvlm.data.tokenizer import train_tokenizer
from latentvlm.vlm.checkpoint import save_model
from latentvlm.vlm.config import VisionLanguageConfig
from latentvlm.vlm.model import VisionLanguageModel
from latentvlm.vlm.presets import preset

TEXTS = [
    "What is the total of this invoice? Which date is printed on the receipt?",
    "How many rows are in the table? There are twelve rows in the table.",
]


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    config = preset("tiny")
    assert isinstance(config, VisionLanguageConfig)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_model(VisionLanguageModel(config), folder)
    train_tokenizer(TEXTS, vocab_size=config.text.vocab_size, folder=folder)
    images = ImageConfig(patch_size=8, min_num_patches=4, max_num_patches=256, max_model_len=2048)
    write_processor_files(folder, tokenizer_folder=folder, image_config=images)
    return folder


@pytest.fixture(scope="session")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("picture") / "page.png"
    page = Image.new("RGB", (96, 64), "white")
    ImageDraw.Draw(page).text((8, 8), "Total 12.50", fill="black")
    page.save(path)
    return path
