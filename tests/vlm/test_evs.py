"""EVS through a model: every way of asking, against a prompt pruned by hand token by token.

transformers 5.23 merges the rows of a batch, knows one video and square frames only, leaves
labels unpruned and cannot mix pictures and videos: each is a test here.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny_model import tiny_config, write_tiny_model
from support.tiny_vl_v2 import write_tiny_vl_v2
from support.videos import evs_places, video, video_tokens

import latentvlm
from latentvlm.data.model_inputs import ModelInputs
from latentvlm.errors import ConfigError, FusionError, PromptError
from latentvlm.token_reduction.evs import EVSConfig
from latentvlm.vlm.generate import generate_batch
from latentvlm.vlm.model import VisionLanguageModel
from latentvlm.vlm.prompt import embed_prompt, language_model
from latentvlm.vlm.pruning import row_mask
from latentvlm.vlm.vlm import VLM

PICTURE = {"type": "image", "image": np.arange(32 * 48 * 3, dtype=np.uint8).reshape(32, 48, 3)}
SHORT = latentvlm.GenerationConfig(max_tokens=4)


@pytest.fixture(scope="module")
def omni(tmp_path_factory: pytest.TempPathFactory) -> VLM:
    """2-frame tubelets, dynamic sizes, a video id past the vocabulary."""
    folder = tmp_path_factory.mktemp("evs-omni")
    write_tiny_model(folder, config=replace(tiny_config(), video_token_id=400))
    return latentvlm.load(folder, device="cpu")


@pytest.fixture(scope="module")
def frames_vlm(tmp_path_factory: pytest.TempPathFactory) -> VLM:
    """Labelled frames, one tile each."""
    folder = tmp_path_factory.mktemp("evs-frames")
    write_tiny_vl_v2(folder)
    return latentvlm.load(folder, device="cpu")


def ask(*parts) -> list[dict]:
    return [{"role": "user", "content": [*parts, {"type": "text", "text": "What is it?"}]}]


def pruned_by_hand(vlm: VLM, messages: list[dict], rates: list[float]) -> tuple[list[int], list]:
    """Ids of a prompt without what is dropped, and the visual tokens of videos that stay."""
    model = vlm.model
    assert isinstance(model, VisionLanguageModel)
    whole = vlm.processor(messages)
    clips = [part for m in messages for part in m["content"] if part["type"] == "video"]
    stays: list[bool] = []
    tokens: list[torch.Tensor] = []
    patch = model.config.vision.patch_size
    for clip, info, rate in zip(clips, whole.videos, rates, strict=True):
        grid = (info.resized_size[0] // patch, info.resized_size[1] // patch)
        found = video_tokens(model, clip["frames"], grid, model.config.frames_per_tubelet)
        assert found.shape[:3] == info.shape
        places = evs_places(found, rate)
        for t, y, x in np.ndindex(*info.shape):
            stays.append((t, y, x) in places)
            if stays[-1]:
                tokens.append(found[t, y, x])
    ids = []
    remaining = iter(stays)
    for idx in whole.input_ids.tolist():
        if idx != model.config.video_placeholder_id or next(remaining):
            ids.append(idx)
    assert not list(remaining)
    return ids, tokens


def close(ours: torch.Tensor, expected: torch.Tensor) -> bool:
    # float32 through a few layers; the scale is the largest value
    return bool((ours - expected).abs().max() <= 1e-4 * expected.abs().max())


@torch.no_grad()
@pytest.mark.parametrize("which", ["omni", "frames_vlm"])
def test_a_mixed_prompt_is_pruned_as_by_hand(which: str, request: pytest.FixtureRequest):
    """Two videos of unlike shape and rate around a picture; ids, tokens, runs and counts."""
    vlm: VLM = request.getfixturevalue(which)
    model = vlm.model
    assert isinstance(model, VisionLanguageModel)
    wide = {**video(6, 40, 96, seed=1), "evs_rate": 0.5}
    tall = video(5, 64, 24, seed=2)
    messages = ask(wide, PICTURE, tall)
    inputs = vlm.processor(messages, evs=EVSConfig(rate=0.75))
    embeds, pruned = embed_prompt(model, inputs)
    ids, tokens = pruned_by_hand(vlm, messages, [0.5, 0.75])
    assert pruned.input_ids.tolist() == ids
    # the counter said so before anything was encoded
    assert inputs.num_tokens == len(ids) == pruned.num_tokens
    assert close(embeds[pruned.input_ids == model.config.video_placeholder_id], torch.stack(tokens))
    plain, whole = embed_prompt(model, vlm.processor(messages))
    is_picture = whole.input_ids == model.config.image_token_id
    is_kept_picture = pruned.input_ids == model.config.image_token_id
    assert torch.equal(embeds[is_kept_picture], plain[is_picture])
    # each frame's run is as long as its share of the mask, and its label is still there
    runs = [run for info in pruned.videos for run in info.kept_per_tubelet]
    assert runs == _runs_of_videos(vlm, pruned)
    text = vlm.processor.decode(pruned.input_ids[pruned.input_ids < 320])
    assert text.count("rame 1 sampled at 0.00 seconds") == 2
    assert text.count(" sampled at ") == 6 + 5


def _runs_of_videos(vlm: VLM, inputs: ModelInputs) -> list[int]:
    """Placeholders between each `<img>` and `</img>` that are not a picture's."""
    model = vlm.model
    assert isinstance(model, VisionLanguageModel)
    start, end = (vlm.processor.tokenizer.token_to_id(name) for name in ("<img>", "</img>"))
    runs, begin = [], 0
    for at, idx in enumerate(inputs.input_ids.tolist()):
        begin = at if idx == start else begin
        if idx == end and int(inputs.input_ids[at - 1]) != model.config.image_token_id:
            runs.append(at - begin - 1)
    return runs


@torch.no_grad()
def test_rate_0_is_bit_for_bit_no_evs(omni: VLM):
    messages = ask(video(5, 40, 72), PICTURE)
    plain = omni.processor(messages)
    for off in (
        EVSConfig(),
        EVSConfig(rate=0.0),
        EVSConfig(token_budget=10_000),
        EVSConfig(floor=1),
    ):
        inputs = omni.processor(messages, evs=off)
        assert inputs.evs == () and torch.equal(inputs.input_ids, plain.input_ids)
        ours, _ = embed_prompt(omni.model, inputs)
        assert torch.equal(ours, embed_prompt(omni.model, plain)[0])
    clip = video(5, 40, 72)
    without = omni.ask("What is it?", clip, generation=SHORT)
    for given in ({"evs_rate": 0}, {"evs": EVSConfig()}):
        answer = omni.ask("What is it?", clip, generation=SHORT, **given)
        assert answer.token_ids == without.token_ids and answer.logprobs == without.logprobs
        assert answer.usage == without.usage and answer.timing.evs_saved_s == 0


def test_an_answer_says_what_was_dropped(omni: VLM):
    clip = {
        **video(7, 48, 64, seed=3),
        "frames": [*video(4, 48, 64)["frames"]] + [video(1, 48, 64)["frames"][0]] * 3,
    }
    plain = omni.ask("What is it?", clip, PICTURE["image"], generation=SHORT)
    answer = omni.ask("What is it?", clip, PICTURE["image"], generation=SHORT, evs_rate=0.75)
    usage = answer.usage
    per_tubelet = 7 * 9  # of 48 x 64, 14 x 18 patches are nearest to 256
    assert plain.usage.visual_tokens == plain.usage.visual_tokens_before == 4 * per_tubelet + 6
    assert usage.visual_tokens_before == plain.usage.visual_tokens
    assert usage.visual_tokens == per_tubelet + 6  # a quarter of four tubelets is the first one
    assert usage.prompt_tokens == usage.text_tokens + usage.visual_tokens
    assert usage.text_tokens == plain.usage.text_tokens
    (of_video,) = usage.videos
    assert of_video.kept_per_tubelet == (per_tubelet, 0, 0, 0)
    assert of_video.timestamps == (0.0, 1.0, 2.0, 3.0)
    assert (of_video.visual_tokens_before, of_video.visual_tokens) == (4 * 63, 63)
    assert answer.timing.evs_saved_s == pytest.approx(
        answer.timing.prefill_s * 3 * per_tubelet / usage.prompt_tokens
    )
    floored = omni.chat(ask(clip), generation=SHORT, evs=EVSConfig(rate=0.75, floor=0.1))
    assert floored.usage.videos[0].kept_per_tubelet == (63, 7, 7, 7)
    stream = omni.stream("What is it?", clip, generation=SHORT, evs=EVSConfig(rate=0.75, floor=0.1))
    assert stream.read().token_ids == floored.token_ids


def test_a_threshold_is_bounded_before_and_counted_after(omni: VLM):
    still = {"type": "video", "frames": [video(1, 48, 64)["frames"][0]] * 8, "fps": 2}
    config = EVSConfig(threshold=0.01, rate=0.25)
    bound = omni.processor(ask(still), evs=config).num_tokens
    answer = omni.ask("What is it?", still, evs=config, generation=SHORT)
    assert answer.usage.visual_tokens == 63 and answer.usage.prompt_tokens == bound - 3 * 63 + 63
    moving = omni.ask("What is it?", video(8, 48, 64), evs=config, generation=SHORT)
    assert moving.usage.prompt_tokens == bound and moving.usage.visual_tokens == 3 * 63


def test_a_budget_is_shared_by_all_videos(omni: VLM):
    clips = [video(16, 48, 64, seed=1), video(4, 64, 32, seed=2)]
    answer = omni.ask("What is it?", *clips, evs=EVSConfig(token_budget=300), generation=SHORT)
    kept = [each.visual_tokens for each in answer.usage.videos]
    assert 298 <= sum(kept) == answer.usage.visual_tokens <= 300 and kept[1] >= 10
    with pytest.raises(PromptError, match="token_budget of 30 cannot hold the 2 videos"):
        omni.ask("What is it?", *clips, evs=EVSConfig(token_budget=30))


def test_pages_and_videos_share_a_budget_and_each_keeps_its_least(omni: VLM):
    clip, page = video(16, 48, 64, seed=1), np.zeros((256, 256, 3), np.uint8)
    whole = omni.ask("What is it?", clip, page, generation=SHORT)
    of_page = whole.usage.page_tokens[0]
    assert of_page > 60 and whole.usage.visual_tokens == 8 * 63 + of_page

    def shares(budget: int, *media, **options) -> tuple[int, int]:
        usage = omni.ask("?", *media, token_budget=budget, generation=SHORT, **options).usage
        assert usage.visual_tokens <= budget
        return sum(usage.page_tokens), sum(each.visual_tokens for each in usage.videos)

    # The video's fair share of 100 would not hold its first tubelet of 63, and gets it anyway.
    assert shares(100, page, clip)[1] >= 63
    # Of a video that is pruned anyway, its own need counts: nothing has to be made smaller.
    assert shares(63 + of_page, page, clip, evs_rate=0.9) == (of_page, 63)
    # What a video says of itself is taken off first.
    pages, videos = shares(300, page, {**clip, "evs_rate": 0.75}, video(4, 48, 64, seed=2))
    assert videos >= 2 * 63 + 63 and pages > 0
    with pytest.raises(PromptError, match="budget of 50 is too small: pages take .* videos 63"):
        shares(50, page, clip)
    with pytest.raises(PromptError, match="budget of 100 is too small: videos take 504"):
        shares(100, {**clip, "evs_rate": 0.0})


@torch.no_grad()
def test_several_prompts_of_any_rate_at_once(omni: VLM):
    """Rows stay rows: each answer of a batch is the one it gets alone."""
    asked = [
        (ask(video(6, 40, 72, seed=1)), EVSConfig(rate=0.75)),
        (ask(PICTURE), EVSConfig(rate=0.9)),
        (ask(video(3, 64, 32, seed=2), PICTURE, video(5, 48, 48, seed=3)), EVSConfig(rate=0.5)),
        (ask(video(4, 48, 48, seed=4)), None),
    ]
    prompts = [omni.processor(messages, evs=evs) for messages, evs in asked]
    together = generate_batch(omni.model, prompts, SHORT)
    for (messages, evs), choices in zip(asked, together, strict=True):
        alone = omni.chat(messages, evs=evs or EVSConfig(), generation=SHORT)
        assert [choice.id for choice in choices] == list(alone.token_ids)
        found = torch.tensor([choice.logprob for choice in choices])
        assert torch.allclose(found, torch.tensor(alone.logprobs), atol=1e-4)


@torch.no_grad()
def test_labels_go_with_their_tokens(omni: VLM):
    """The score of an answer under EVS, against logits of the prompt pruned by hand."""
    messages = ask(video(6, 40, 72, seed=5), video(3, 64, 32, seed=6))
    ids, tokens = pruned_by_hand(omni, [*messages, _said("It is")], [0.75, 0.75])
    score = omni.score("What is it?", "It is", *messages[0]["content"][:2], evs_rate=0.75)
    text = language_model(omni.model)
    row = torch.tensor(ids)
    embeds = text.embed(row.where(row != 400, 0))
    embeds[row == 400] = torch.stack(tokens)
    logprobs = text.logits(text(embeds)).log_softmax(-1)
    whole = omni.processor.encode_conversation([*messages, _said("It is")])
    answer = whole.input_ids[whole.labels != -100].tolist()
    tail = next(i for i in range(len(ids)) if ids[i : i + len(answer)] == answer)
    expected = [float(logprobs[tail + i - 1, idx]) for i, idx in enumerate(answer)]
    found = torch.tensor([*score.logprobs, score.end_logprob])
    assert torch.allclose(found, torch.tensor(expected), atol=1e-4)
    assert score.total != omni.score("What is it?", "It is", *messages[0]["content"][:2]).total


def _said(text: str) -> dict:
    return {
        "role": "assistant",
        "content": text if isinstance(text, list) else [{"type": "text", "text": text}],
    }


def test_one_mask_takes_tokens_out_of_everything():
    ids = torch.tensor([5, 9, 9, 9, 6, 7, 9, 9, 8])
    masks = [torch.tensor([[[True, False, False]]]), torch.tensor([[[False, True]]])]
    keep = row_mask(ids, masks, 9)
    assert ids[keep].tolist() == [5, 9, 6, 7, 9, 8]
    with pytest.raises(FusionError, match="5 video placeholders .* give 3 visual tokens"):
        row_mask(ids, masks[:1], 9)


def test_the_context_holds_what_is_left(omni: VLM):
    clip = video(40, 48, 64)
    processor = omni.processor
    whole = processor(ask(clip)).num_tokens
    short = VLM(omni.model, processor=processor, context_length=whole - 200)
    with pytest.raises(PromptError, match=rf"prompt has {whole} tokens \({20 * 63} of them"):
        short.ask("What is it?", clip)
    answer = short.ask("What is it?", clip, evs_rate=0.5, generation=SHORT)
    assert answer.usage.visual_tokens == 10 * 63


def test_a_checkpoint_has_a_rate_of_its_own(tmp_path: Path):
    config = replace(tiny_config(), video_token_id=400, video_pruning_rate=0.5)
    write_tiny_model(tmp_path, config=config)
    assert json.loads((tmp_path / "config.json").read_text())["video_pruning_rate"] == 0.5
    vlm = latentvlm.load(tmp_path, device="cpu")
    clip = video(8, 48, 64)
    tokens = {
        given: vlm.ask("What is it?", clip, generation=SHORT, evs=evs).usage.visual_tokens
        for given, evs in [("none", None), ("off", EVSConfig()), ("other", EVSConfig(rate=0.75))]
    }
    assert tokens == {"none": 2 * 63, "off": 4 * 63, "other": 63}
    own = vlm.ask("What is it?", {**clip, "evs": EVSConfig()}, generation=SHORT)
    assert own.usage.visual_tokens == 4 * 63
    with pytest.raises(ConfigError, match=r"video_pruning_rate is 1\.0"):
        replace(config, video_pruning_rate=1.0)


def test_what_is_refused(omni: VLM):
    clip = video(2, 32, 32)
    with pytest.raises(ConfigError, match="evs or evs_rate, not both"):
        omni.ask("What is it?", clip, evs=EVSConfig(), evs_rate=0.5)
    with pytest.raises(ConfigError, match="evs is a float; give latentvlm.EVSConfig"):
        omni.ask("What is it?", clip, evs=0.5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="EVS rate is 1"):
        omni.ask("What is it?", {**clip, "evs_rate": 1})
