"""Where an answer looked: maps that add up, of pages and of videos whose tokens EVS dropped."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.tiny_model import tiny_config, write_tiny_model
from support.videos import video

import latentvlm
from latentvlm.errors import InputError
from latentvlm.vlm.explaining import can_look, explain
from latentvlm.vlm.vlm import VLM

SHORT = latentvlm.GenerationConfig(max_tokens=5)
PAGE = np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3)
CLIP = {**video(6, 32, 64, seed=3), "evs_rate": 0.5}


@pytest.fixture(scope="module")
def vlm(tmp_path_factory: pytest.TempPathFactory) -> VLM:
    path = tmp_path_factory.mktemp("video-model")
    write_tiny_model(path, config=replace(tiny_config(), video_token_id=400))
    return latentvlm.load(path, device="cpu")


def test_what_evs_dropped_was_never_looked_at(vlm: VLM) -> None:
    found = explain(vlm, "What is it?", [PAGE, CLIP], generation=SHORT)
    plain = vlm.ask("What is it?", PAGE, CLIP, generation=SHORT)
    assert found.answer is not None and found.answer.token_ids == plain.token_ids
    page, clip = found.pages[0].looked, found.videos[0].looked
    assert page is not None and clip is not None
    assert float(page.sum() + clip.sum()) == pytest.approx(1, abs=1e-5)
    kept = plain.usage.videos[0].kept_per_tubelet
    assert [int((each > 0).sum()) for each in clip] == list(kept) and sum(kept) < clip.numel()


def test_a_model_without_attention_is_refused(tmp_path: Path) -> None:
    write_tiny_model(tmp_path, config=tiny_config(hybrid_override_pattern="MM"))
    blind = latentvlm.load(tmp_path, device="cpu")
    assert not can_look(blind.model)
    with pytest.raises(InputError, match="no attention layer"):
        explain(blind, "What?", [PAGE])
