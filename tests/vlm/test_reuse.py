"""Asking about videos whose still patches are not encoded again."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.tiny_model import tiny_config, write_tiny_model
from support.videos import video

import latentvlm
from latentvlm import ReuseConfig
from latentvlm.errors import ConfigError
from latentvlm.token_reduction.evs import EVSConfig
from latentvlm.vlm.prompt import embed_prompt
from latentvlm.vlm.vlm import VLM

SHORT = latentvlm.GenerationConfig(max_tokens=4)
PER_TUBELET = 14 * 18  # patches of 48 x 64 pixels, of which 252 are nearest to 256


@pytest.fixture(scope="module")
def vlm(tmp_path_factory: pytest.TempPathFactory) -> VLM:
    folder = tmp_path_factory.mktemp("reuse")
    write_tiny_model(folder, config=replace(tiny_config(), video_token_id=400))
    return latentvlm.load(folder, device="cpu")


def cursor(count: int = 8) -> dict:
    """A still picture in whose corner a mark moves."""
    still = video(1, 48, 64, seed=5)["frames"][0]
    frames = []
    for number in range(count):
        frame = np.array(still)
        frame[2:6, 4 * number : 4 * number + 4] = 255
        frames.append(frame)
    return {"type": "video", "frames": frames, "fps": 2}


@torch.no_grad()
def test_a_still_clip_is_answered_as_without_and_encoded_once(vlm: VLM):
    still = {**cursor(1), "frames": cursor(1)["frames"] * 8}
    plain = vlm.ask("What is it?", still, generation=SHORT)
    for config in (ReuseConfig(), ReuseConfig(ring=2)):
        answer = vlm.ask("What is it?", still, generation=SHORT, reuse=config)
        assert answer.token_ids == plain.token_ids
        assert np.allclose(answer.logprobs, plain.logprobs, atol=1e-4)
        (used,) = answer.usage.videos
        assert (used.patches, used.patches_encoded) == (4 * PER_TUBELET, PER_TUBELET)
    assert plain.usage.videos[0].patches_encoded == 4 * PER_TUBELET


@torch.no_grad()
def test_a_moving_mark_costs_its_patches(vlm: VLM):
    messages = [{"role": "user", "content": [cursor(), {"type": "text", "text": "What?"}]}]
    whole, _ = embed_prompt(vlm.model, vlm.processor(messages))
    found, inputs = embed_prompt(vlm.model, vlm.processor(messages, reuse=ReuseConfig()))
    encoded = inputs.videos[0].encoded_patches
    assert encoded is not None and PER_TUBELET < encoded < 1.6 * PER_TUBELET
    off = float((found - whole).norm() / whole.norm())
    assert 0 < off < 0.2
    # what is left out before the tower goes first after it: nothing of it changed
    both = vlm.ask(
        "What?", cursor(), generation=SHORT, reuse=ReuseConfig(), evs=EVSConfig(threshold=1e-6)
    )
    (used,) = both.usage.videos
    assert used.patches_encoded == encoded and used.visual_tokens < 0.6 * used.visual_tokens_before


def test_every_video_of_a_chat_has_its_own_plan(vlm: VLM):
    parts = [cursor(4), video(3, 64, 32, seed=1), cursor(6)]
    answer = vlm.chat(
        [{"role": "user", "content": [*parts, {"type": "text", "text": "What?"}]}],
        generation=SHORT,
        reuse=ReuseConfig(threshold=4, refresh_every=2),
    )
    first, moving, third = answer.usage.videos
    assert first.patches_encoded < first.patches and third.patches_encoded < third.patches
    assert moving.patches_encoded == moving.patches  # nothing of it is still


def test_what_is_refused(vlm: VLM):
    with pytest.raises(ConfigError, match="reuse is a bool; give latentvlm.ReuseConfig"):
        vlm.ask("What is it?", cursor(2), reuse=True)  # type: ignore[arg-type]
