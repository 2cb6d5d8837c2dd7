"""The engine with videos and EVS, thoughts and tools, other families and other caches."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.engines import settled
from support.thinking import WEATHER, Scripted
from support.tiny_model import tiny_config, write_tiny_model
from support.tiny_vl_v2 import write_tiny_vl_v2
from support.videos import video

from latentvlm.token_reduction.evs import EVSConfig
from latentvlm.token_reduction.reuse import ReuseConfig
from latentvlm.vlm.api import load
from latentvlm.vlm.cache import Cache
from latentvlm.vlm.citations import Citations
from latentvlm.vlm.config import LanguageConfig
from latentvlm.vlm.language_model import LanguageModel
from latentvlm.vlm.limits import ModelLimits
from latentvlm.vlm.presets import jamba
from latentvlm.vlm.sampling import GenerationConfig
from latentvlm.vlm.vlm import VLM

SHORT = GenerationConfig(max_tokens=6)
PICTURE = np.arange(32 * 48 * 3, dtype=np.uint8).reshape(32, 48, 3)


@pytest.fixture(scope="module")
def omni(tmp_path_factory: pytest.TempPathFactory) -> VLM:
    """2-frame tubelets, dynamic sizes, a video id past the vocabulary."""
    folder = tmp_path_factory.mktemp("engine-omni")
    write_tiny_model(folder, config=replace(tiny_config(), video_token_id=400))
    return load(folder, device="cpu", dtype="float32")


def test_videos_with_evs_are_encoded_once_and_pruned_as_alone(omni: VLM) -> None:
    clip = video(6, 40, 72, seed=1)
    asked = [
        {"question": "What is it?", "media": [clip], "evs_rate": 0.75},
        {"question": "What is it?", "media": [clip]},
        {"question": "Who?", "media": [PICTURE]},
        {"question": "Which?", "media": [clip, PICTURE], "evs": EVSConfig(rate=0.5, threshold=0.1)},
    ]
    answers = omni.ask_batch(asked, generation=SHORT)
    for ask, found in zip(asked, answers, strict=True):
        options = {key: value for key, value in ask.items() if key.startswith("evs")}
        alone = omni.ask(ask["question"], *ask["media"], generation=SHORT, **options)
        assert found.token_ids == alone.token_ids
        assert found.usage == alone.usage
        assert found.logprobs == pytest.approx(alone.logprobs, abs=2e-3)
    assert answers[0].usage.visual_tokens < answers[1].usage.visual_tokens
    state = settled(omni.engine)
    assert (state.media_misses, state.media_hits) == (2, 3)


def test_reused_patches_are_a_video_of_their_own(omni: VLM) -> None:
    """What reuse leaves out is not mistaken for the whole, nor the other way round."""
    clip = video(6, 40, 72, seed=2)
    clip["frames"][3] = clip["frames"][2] = clip["frames"][1] = clip["frames"][0]
    engine, reuse = omni.new_engine(), ReuseConfig(threshold=3.0)
    misses = []
    for options in ({}, {"reuse": reuse}, {"reuse": reuse}, {}):
        found = engine.ask("What is it?", clip, generation=SHORT, **options)
        alone = omni.ask("What is it?", clip, generation=SHORT, **options)
        assert (found.token_ids, found.usage) == (alone.token_ids, alone.usage)
        assert found.logprobs == pytest.approx(alone.logprobs, abs=2e-3)
        misses.append(settled(engine).media_misses)
    assert misses == [1, 2, 2, 2]


@pytest.mark.parametrize("kind", ["2", "3"])
def test_thoughts_budgets_and_tools(tmp_path: Path, kind: str) -> None:
    scripted = Scripted(tmp_path, kind)
    call = '<TOOLCALL>[{"name": "weather", "arguments": {"place": "Bonn"}}]</TOOLCALL>'
    if kind == "3":
        call = (
            "<tool_call>\n<function=weather>\n<parameter=place>\nBonn\n</parameter>\n"
            "</function>\n</tool_call>"
        )
    vlm = scripted.vlm("So the total is twelve, as the second line says.", "It is so. " + call)
    options = {"thinking": True, "thinking_budget": 5, "tools": [WEATHER]}
    alone = vlm.ask("Who?", **options)
    stream = vlm.engine.stream("Who?", **options)
    parts = list(stream.parts())
    found = stream.answer
    assert found.tool_calls == alone.tool_calls and found.tool_calls[0].arguments["place"] == "Bonn"
    assert (found.text, found.reasoning) == (alone.text, alone.reasoning)
    assert found.reasoning_finish == "budget"
    assert "".join(part.text for part in parts if part.kind == "reasoning") == found.reasoning
    assert "".join(part.text for part in parts if part.kind == "text") == found.text


def test_tiles_and_labelled_frames(tmp_path: Path) -> None:
    write_tiny_vl_v2(tmp_path)
    vlm = load(tmp_path, device="cpu", dtype="float32")
    pictures = [np.resize(PICTURE, size) for size in ((40, 90, 3), (32, 32, 3))]
    media = [[], [pictures[0]], pictures, [video(3, 40, 72, seed=1)]]
    answers = vlm.ask_batch(
        [{"question": "What is it?", "media": each} for each in media], generation=SHORT
    )
    for found, each in zip(answers, media, strict=True):
        alone = vlm.ask("What is it?", *each, generation=SHORT)
        assert (found.token_ids, found.usage) == (alone.token_ids, alone.usage)


def test_a_cache_of_8_bits(tiny_folder: Path) -> None:
    vlm = load(tiny_folder, device="cpu", dtype="float32", kv_cache="fp8")
    questions = ["Who?", "What is the total of this invoice?", "When?"]
    for found, question in zip(vlm.ask_batch(questions, generation=SHORT), questions, strict=True):
        assert found.token_ids == vlm.ask(question, generation=SHORT).token_ids


def small_jamba() -> LanguageConfig:
    return replace(
        jamba.v01(),
        vocab_size=40,
        hidden_size=16,
        hybrid_override_pattern="m-m*mE",
        intermediate_size=12,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        mamba_num_heads=32,
        mamba_dt_rank=3,
        n_routed_experts=4,
        moe_intermediate_size=12,
    )


def test_mamba_1_and_experts_in_a_batch() -> None:
    """Caches of the Jamba layers are joined, forked and left like any other."""
    torch.manual_seed(0)
    model = LanguageModel(small_jamba()).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(1)
    prompts = [torch.randint(2, 40, (n,), generator=generator) for n in (5, 1, 19)]
    with torch.inference_mode():
        caches, last = [], []
        for ids in prompts:
            caches.append(model.allocate_cache())
            model(model.embed(ids), cache=caches[-1])
        joined = Cache.join(caches)
        again = joined.select([2, 0, 0, 1])
        ids = torch.tensor([7, 8, 9, 10])
        bounds = torch.arange(5, dtype=torch.int32)
        found = model(model.embed(ids), cu_seqlens=bounds, cache=again)
        for row, (seq, idx) in enumerate(zip([2, 0, 0, 1], ids, strict=True)):
            alone = model(model.embed(torch.cat([prompts[seq], idx[None]])))[-1]
            last.append(float((found[row] - alone).abs().max() / alone.abs().max()))
    assert max(last) < 1e-4
    assert again.lengths == [20, 6, 6, 2]


def test_pages_are_cited_as_alone(tiny_folder: Path) -> None:
    vlm = load(tiny_folder, device="cpu", dtype="float32")
    vlm.limits = ModelLimits(citations=Citations(heads=((0, 0),), threshold=0.0))
    pages = [np.resize(PICTURE, size) for size in ((32, 48, 3), (64, 32, 3))]
    alone = vlm.ask("What?", *pages, generation=SHORT)
    answers = vlm.ask_batch(
        ["Who?", {"question": "What?", "media": pages}, "When?"], generation=SHORT
    )
    assert answers[1].pages[0].index == alone.pages[0].index
    assert answers[1].pages[0].confidence == pytest.approx(alone.pages[0].confidence, abs=1e-3)
    assert answers[1].token_ids == alone.token_ids
    assert answers[0].pages == answers[2].pages == ()
