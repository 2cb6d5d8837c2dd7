"""What tests of the engine share: a model, requests, and how answers are compared."""

from pathlib import Path

import numpy as np
import pytest
import torch

from latentvlm.vlm.answer import Answer
from latentvlm.vlm.api import load
from latentvlm.vlm.asking import make_request
from latentvlm.vlm.conversation import question_message
from latentvlm.vlm.engine import Engine
from latentvlm.vlm.engine_config import EngineState
from latentvlm.vlm.prepared import Prepared
from latentvlm.vlm.sampling import GenerationConfig
from latentvlm.vlm.vlm import VLM

LONG = GenerationConfig(max_tokens=400)


def sharp_vlm(folder: Path) -> VLM:
    """A small model with logits of a trained one's spread: its best token is clearly the best."""
    vlm = load(folder, device="cpu", dtype="float32")
    with torch.no_grad():
        vlm.model.get_parameter("language_model.lm_head.weight").mul_(4)
    return vlm


def page(seed: int = 0, size: tuple[int, int] = (48, 80)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def prepared(vlm: VLM, question: str, *media, **options) -> Prepared:
    return vlm.prepare(make_request([question_message(question, media)], **options))


def settled(engine: Engine) -> EngineState:
    """What an engine has done, once it does nothing."""
    assert engine.drain(timeout=300)
    return engine.state()


def assert_same(found: Answer, alone: Answer) -> None:
    """The same tokens, up to the first place where the two best are as good as equal."""
    for at, (ours, theirs) in enumerate(zip(found.token_ids, alone.token_ids, strict=False)):
        if ours != theirs:
            best = [logprob for _, logprob in alone.top_logprobs[at]]
            assert best[0] - best[1] < 1e-3, f"token {at} differs where the best is clear"
            return
        assert found.logprobs[at] == pytest.approx(alone.logprobs[at], abs=2e-3)
    assert (found.text, found.finish_reason) == (alone.text, alone.finish_reason)
    assert found.usage == alone.usage
    assert found.warnings == alone.warnings
