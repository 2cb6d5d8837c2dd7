"""Models for the demo: one that sees videos, and one that thinks and answers without an end."""

from dataclasses import replace
from pathlib import Path

import pytest
from support.endless import EndlessModel
from support.thinking import thinking_processor
from support.tiny_model import tiny_config, write_tiny_model

from latentvlm.app.demo.models import OpenModel
from latentvlm.vlm.api import VLM, load


@pytest.fixture(scope="session")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> VLM:
    """A small random model of pictures and videos."""
    folder = tmp_path_factory.mktemp("demo-model")
    write_tiny_model(folder, config=replace(tiny_config(), video_token_id=400))
    return load(folder, device="cpu")


@pytest.fixture(scope="session")
def thinking(tmp_path_factory: pytest.TempPathFactory) -> VLM:
    """A model of text that thinks, then answers without an end, slowly."""
    processor = thinking_processor(tmp_path_factory.mktemp("demo-chain"), "3")
    return VLM(EndlessModel(processor), processor=processor, end_ids=(processor.turn_end_id,))


@pytest.fixture(scope="session")
def open_seeing(seeing: VLM) -> OpenModel:
    return OpenModel(name="seeing", vlm=seeing, engine=seeing.new_engine())


@pytest.fixture(scope="session")
def open_thinking(thinking: VLM) -> OpenModel:
    return OpenModel(name="thinking", vlm=thinking, engine=thinking.new_engine())


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of eight frames a second apart, of which only a corner moves."""
    import numpy as np
    from support.clips import write_clip

    frames = []
    for number in range(8):
        frame = np.full((64, 96, 3), 200, np.uint8)
        frame[:16, 12 * number : 12 * number + 12] = (200, 30, 30)
        frames.append(frame)
    return write_clip(tmp_path_factory.mktemp("clip") / "moving.mp4", frames, fps=1)
