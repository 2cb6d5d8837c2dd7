"""Videos through a model: against the format written out step by step, packed, cached, asked."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.tiny_model import random_model, tiny_config, write_tiny_model
from support.videos import (
    frames,
    resized,
    tower_features,
    video,
    video_tokens,
    visual_tokens,
)
from support.without_videos import copy_without_videos

import latentvlm
from latentvlm.data.model_inputs import ModelInputs
from latentvlm.data.video import Video
from latentvlm.data.video_transform import VideoConfig, VideoTransform
from latentvlm.errors import FusionError, InputError, MediaError, PromptError
from latentvlm.token_reduction.tubelets import Tubelets
from latentvlm.vision_encoder import radio
from latentvlm.vlm.api import PRETRAINED
from latentvlm.vlm.cache import Cache
from latentvlm.vlm.generate import generate_batch
from latentvlm.vlm.model import VisionLanguageModel
from latentvlm.vlm.prompt import embed
from latentvlm.vlm.vlm import VLM

PICTURE = np.arange(32 * 48 * 3, dtype=np.uint8).reshape(32, 48, 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with the norm that an MTP head brings, and a video id past its vocabulary."""
    path = tmp_path_factory.mktemp("video-model")
    write_tiny_model(path, config=replace(tiny_config(), video_token_id=400))
    return path


@pytest.fixture(scope="module")
def vlm(folder: Path) -> VLM:
    return latentvlm.load(folder, device="cpu")


@pytest.fixture(scope="module")
def model(vlm: VLM) -> VisionLanguageModel:
    assert isinstance(vlm.model, VisionLanguageModel)
    return vlm.model


def ask(*parts) -> list[dict]:
    return [{"role": "user", "content": [*parts, {"type": "text", "text": "What is it?"}]}]


def logits(model: VisionLanguageModel, inputs: ModelInputs) -> torch.Tensor:
    return model(
        inputs.input_ids,
        pixel_values=inputs.pixel_values,
        image_grid_hw=inputs.image_grid_hw,
        pixel_values_videos=inputs.pixel_values_videos,
        video_grid_thw=inputs.video_grid_thw,
    )


def close(ours: torch.Tensor, expected: torch.Tensor) -> bool:
    # float32 through a few layers; the scale is the largest value
    return bool((ours - expected).abs().max() <= 1e-4 * expected.abs().max())


@torch.no_grad()
def test_visual_tokens_are_those_of_the_format(model: VisionLanguageModel, vlm: VLM):
    clips = [frames(5, 40, 72, seed=1), frames(2, 96, 64, seed=2)]
    parts = [{"type": "video", "frames": clip, "fps": 2} for clip in clips]
    inputs = vlm.processor(ask(*parts))
    assert inputs.pixel_values_videos is not None and inputs.video_grid_thw is not None
    found = model.encode_videos(inputs.pixel_values_videos, inputs.video_grid_thw)
    for clip, tokens, info in zip(clips, found, inputs.videos, strict=True):
        grid = (info.resized_size[0] // 8, info.resized_size[1] // 8)
        assert tokens.shape == (*info.shape, 32)
        assert close(tokens, video_tokens(model, clip, grid, 2))


@torch.no_grad()
def test_the_tower_is_that_of_transformers(model: VisionLanguageModel):
    from transformers import RadioConfig, RadioModel

    ours = model.config.vision
    theirs = RadioModel(
        RadioConfig(
            hidden_size=32, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=2.0,
            patch_size=8, max_img_size=128, num_cls_tokens=1, num_registers=1,
            summary_idxs=[0], video_temporal_patch_size=2,
        )
    ).eval()  # fmt: skip
    theirs.make_preprocessor_external()
    tower = model.vision_encoder
    embeddings = theirs.embeddings
    embedder = tower.patch_generator.video_embedder
    assert embedder is not None
    embeddings.video_patch_projection.weight.copy_(embedder.weight)
    embeddings.position_embedding.copy_(tower.patch_generator.pos_embed)
    embeddings.cls_register_token.copy_(tower.patch_generator.cls_token.token)
    for layer, block in zip(theirs.encoder.layer, tower.blocks, strict=True):
        for name in ["norm1", "norm2", "mlp"]:
            getattr(layer, name).load_state_dict(getattr(block, name).state_dict())
        for part, rows in zip("qkv", block.attn.qkv.weight.chunk(3), strict=True):
            getattr(layer.attention, f"{part}_proj").weight.copy_(rows)
        for part, rows in zip("qkv", block.attn.qkv.bias.chunk(3), strict=True):
            getattr(layer.attention, f"{part}_proj").bias.copy_(rows)
        layer.attention.o_proj.load_state_dict(block.attn.proj.state_dict())
    pixels = torch.randn(3, 6, 48, 80, generator=torch.Generator().manual_seed(0))
    expected = theirs(pixels).features
    patches = pixels.view(3, 6, 6, 8, 10, 8).permute(0, 2, 4, 1, 3, 5).reshape(-1, 6 * 64)
    found = tower.encode_tubelets(patches, torch.tensor([[3, 6, 10]]))
    assert ours.hidden_size == 32 and close(found, expected.reshape(-1, 32))


@torch.no_grad()
def test_a_prompt_of_videos_and_pictures(model: VisionLanguageModel, vlm: VLM):
    """Embeddings put together by hand, each thing where its placeholder stood."""
    clips = [frames(3, 48, 64, seed=1), frames(1, 64, 32, seed=2)]
    parts = [{"type": "video", "frames": clip, "fps": 2} for clip in clips]
    inputs = vlm.processor(ask(parts[0], {"type": "image", "image": PICTURE}, parts[1]))
    ids = inputs.input_ids
    expected = model.language_model.embeddings.weight[ids.where(ids < 320, 0)].clone()
    tokens = []
    for clip, info in zip(clips, inputs.videos, strict=True):
        grid = (info.resized_size[0] // 8, info.resized_size[1] // 8)
        tokens.append(video_tokens(model, clip, grid, 2).flatten(0, 2))
    expected[ids == 400] = torch.cat(tokens)
    grid = inputs.images[0].grid
    assert grid == (4, 6)
    planes = [resized(PICTURE, 32, 48)]
    features = tower_features(model, planes, model.vision_encoder.patch_generator.embedder.weight)
    expected[ids == 18] = visual_tokens(model, features).flatten(0, 1)
    assert close(embed(model, inputs), expected)
    text = model.language_model
    assert close(logits(model, inputs), text.logits(text(expected)))


@torch.no_grad()
def test_packed_is_separate_and_nothing_leaks(model: VisionLanguageModel, vlm: VLM):
    picture = {"type": "image", "image": PICTURE}
    prompts = [
        vlm.processor(ask(video(3, 48, 64, seed=1))),
        vlm.processor(ask(picture)),
        vlm.processor(ask(picture, video(2, 64, 32, seed=2), video(1, 48, 48, seed=3))),
    ]

    def packed(parts: list[ModelInputs]) -> list[torch.Tensor]:
        def joined(key: str) -> torch.Tensor:
            found = [getattr(each, key) for each in parts]
            return torch.cat([each for each in found if each is not None])

        lengths = [len(each.input_ids) for each in parts]
        bounds = torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)
        keys = ["pixel_values", "image_grid_hw", "pixel_values_videos", "video_grid_thw"]
        values = {key: joined(key) for key in keys}
        return list(model(joined("input_ids"), cu_seqlens=bounds, **values).split(lengths))

    together = packed(prompts)
    for alone, found in zip(prompts, together, strict=True):
        assert close(found, logits(model, alone))
    other = vlm.processor(ask(video(3, 48, 64, seed=9)))
    changed = packed([other, *prompts[1:]])
    assert not torch.equal(changed[0], together[0])
    assert all(torch.equal(a, b) for a, b in zip(changed[1:], together[1:], strict=True))


@torch.no_grad()
def test_a_frame_moves_its_own_video_only(model: VisionLanguageModel):
    first, second = frames(4, 32, 32, seed=1), frames(4, 32, 32, seed=2)
    grid = torch.tensor([[2, 4, 4], [2, 4, 4]])

    def tokens(clips: list[list[np.ndarray]]) -> list[torch.Tensor]:
        rule = Tubelets(patch_size=8, target_num_patches=16)
        packed = VideoTransform(VideoConfig(tubelets=rule))(
            [Video(frames=tuple(clip), timestamps=(0.0,) * 4) for clip in clips]
        )
        assert torch.equal(packed.grid_thw, grid)
        return model.encode_videos(packed.pixel_values, packed.grid_thw)

    before = tokens([first, second])
    after = tokens([[*first[:3], second[0]], second])
    assert torch.equal(after[1], before[1]) and torch.equal(after[0][0], before[0][0])
    assert not torch.allclose(after[0][1], before[0][1])


@torch.no_grad()
def test_cached_is_full(model: VisionLanguageModel, vlm: VLM):
    inputs = vlm.processor(ask(video(4, 48, 64), {"type": "image", "image": PICTURE}))
    expected = logits(model, inputs)
    text = model.language_model
    embeds = embed(model, inputs)
    cache = Cache.allocate(text.config, capacity=len(embeds))
    found = [text(block, cache=cache) for block in embeds.split([17, 1, 1, len(embeds) - 19])]
    assert close(text.logits(torch.cat(found)), expected)


@torch.no_grad()
def test_long_videos_are_encoded_in_pieces(model: VisionLanguageModel, monkeypatch):
    patches = torch.randn(96, 6 * 64, generator=torch.Generator().manual_seed(0))
    grids = torch.tensor([[4, 4, 4], [1, 8, 4]])
    whole = model.encode_videos(patches, grids)
    monkeypatch.setattr(radio, "TUBELET_PATCHES", 40)
    pieces = model.encode_videos(patches, grids)
    assert all(close(a, b) for a, b in zip(pieces, whole, strict=True))


def test_ask_and_chat(vlm: VLM):
    clip = video(3, 48, 64)
    config = latentvlm.GenerationConfig(max_tokens=4, repetition_penalty=1.5)
    asked = vlm.ask("What is it?", clip, generation=config)
    assert asked.usage.visual_tokens == 2 * 7 * 9  # of 48 x 64, 14 x 18 patches are nearest to 256
    chatted = vlm.chat(ask(clip), generation=config)
    pictures = [Image.fromarray(frame) for frame in clip["frames"]]
    given = {"type": "video", "frames": pictures, "timestamps": [0, 0.5, 1.0]}
    again = vlm.chat(ask(given), generation=config)
    assert asked.token_ids == chatted.token_ids == again.token_ids
    both = vlm.ask("What is it?", PICTURE, clip, generation=config)
    assert both.usage.visual_tokens > asked.usage.visual_tokens and len(both.usage.image_grids) == 1


def test_several_prompts_at_once_and_a_given_answer(vlm: VLM, model: VisionLanguageModel):
    config = latentvlm.GenerationConfig(max_tokens=4)
    prompts = [vlm.processor(ask(video(n, 48, 64, seed=n))) for n in (1, 3)]
    together = generate_batch(model, prompts, config)
    for n, choices in zip((1, 3), together, strict=True):
        alone = vlm.ask("What is it?", video(n, 48, 64, seed=n), generation=config)
        assert [choice.id for choice in choices] == list(alone.token_ids)
    score = vlm.score("What is it?", "It is", video(1, 48, 64, seed=1))
    other = vlm.score("What is it?", "It is", video(1, 48, 64, seed=2))
    assert score.token_ids == other.token_ids and score.total != other.total


def test_the_model_in_the_package_sees_videos_and_one_without_says_so(tmp_path: Path):
    answer = latentvlm.load(device="cpu").ask("What is it?", video(1, 32, 32), evs_rate=0.5)
    assert answer.usage.visual_tokens > 0 and len(answer.usage.videos) == 1
    folder = copy_without_videos(PRETRAINED, tmp_path / "default")
    with pytest.raises(PromptError, match="sees pictures but no videos"):
        latentvlm.load(folder, device="cpu").ask("What is it?", video(1, 32, 32))


def test_what_is_refused(vlm: VLM, model: VisionLanguageModel, tmp_path: Path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"\0\0\0\x20ftypisom")
    for media in [path, {"type": "video", "video": path}]:
        with pytest.raises(MediaError, match="cannot be read as a video"):
            vlm.ask("What is it?", media)
    with pytest.raises(MediaError, match="something other than frames"):
        vlm.ask("What is it?", {"type": "video", "frames": str(path)})
    inputs = vlm.processor(ask(video(2, 32, 32)))
    pixels, grid = inputs.pixel_values_videos, inputs.video_grid_thw
    assert pixels is not None and grid is not None
    ids = inputs.input_ids
    with pytest.raises(FusionError, match=r"video placeholders \(id 400\) but the videos give 64"):
        vlm.logits(input_ids=ids[:-40], pixel_values_videos=pixels, video_grid_thw=grid)
    with pytest.raises(InputError, match="id 400 is outside the vocabulary"):
        vlm.logits(input_ids=ids)
    with pytest.raises(InputError, match="pixel_values_videos and video_grid_thw belong together"):
        vlm.logits(input_ids=ids, pixel_values_videos=pixels)
    with pytest.raises(InputError, match="describes 256 patches but pixel_values_videos holds 255"):
        vlm.logits(input_ids=ids, pixel_values_videos=pixels[:-1], video_grid_thw=grid)
    with pytest.raises(InputError, match="has 192 values, but this tower takes 384.* 2 frames"):
        vlm.logits(input_ids=ids, pixel_values_videos=pixels[:, :192], video_grid_thw=grid)
    text = VLM(random_model(tiny_config()).language_model)
    with pytest.raises(InputError, match="reads text only"):
        text.logits(input_ids=ids[:3], pixel_values_videos=pixels, video_grid_thw=grid)
