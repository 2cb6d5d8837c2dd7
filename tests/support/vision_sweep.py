"""Random small vision-language models, compared with an oracle in float32.

Omni images: transformers builds, saves and computes. What it lacks or has wrong, videos and
tiles, is compared with `videos.py`, where the format is written out step by step.
"""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from support.family_sweep import MARGIN, Draw, Margins, assert_close, randomise
from support.sweeps import SWEEPS
from support.tiny_model import random_model
from support.videos import frames, resized, tower_features, video_tokens, visual_tokens
from torch import Tensor

from latentvlm.data.image_transform import ImageConfig, ImageTransform, PackedImages
from latentvlm.data.patches import Picture
from latentvlm.data.tile_transform import TileConfig, TileTransform
from latentvlm.data.video import Video
from latentvlm.data.video_transform import PackedVideos, VideoConfig, VideoTransform
from latentvlm.token_reduction.tubelets import Tubelets
from latentvlm.vision_encoder.radio import RadioConfig
from latentvlm.vlm.cache import Cache
from latentvlm.vlm.checkpoint import load_model, save_model
from latentvlm.vlm.config import VisionLanguageConfig
from latentvlm.vlm.model import VisionLanguageModel
from latentvlm.vlm.presets import tiny

IMAGE, VIDEO = 18, 400  # the second past the vocabulary, as released


def compare_images(seed: int, folder: Path) -> None:
    """An Omni model of transformers against ours: whole, in pieces, and written back."""
    from transformers.models.nemotron_h_omni import modeling_nemotron_h_omni as modeling

    draw, sweep = Draw(seed), SWEEPS["nemotron_h"]
    heads, width = draw.one_of((2, 32), (4, 32), (3, 24), (1, 16))
    config = modeling.NemotronH_Omni_Reasoning_V3_Config(
        text_config={**sweep.config(draw).to_dict(), "num_nextn_predict_layers": draw.one_of(0, 1)},
        vision_config={
            "hidden_size": width,
            "num_hidden_layers": draw.one_of(1, 2, 3),
            "num_attention_heads": heads,
            "mlp_ratio": draw.one_of(2.0, 3.0, 4.0),
            "patch_size": draw.one_of(8, 4, 6),
            "max_img_size": 48,
            "num_cls_tokens": draw.one_of(1, 2),
            "num_registers": draw.one_of(3, 0),
            "summary_idxs": [0],
            "video_temporal_patch_size": 2,
        },
        audio_config=None,
        projector_hidden_size=draw.one_of(40, 24),
        vision_hidden_size=width,
        image_token_id=IMAGE,
    )
    torch.manual_seed(seed)
    theirs = modeling.NemotronH_Omni_Reasoning_V3(config).eval().float()
    with torch.no_grad():
        for name, value in theirs.state_dict().items():
            if value.is_floating_point() and "layer_scale" not in name:
                randomise(name, value)
    sweep.prepare(theirs)
    theirs.save_pretrained(folder / "theirs")
    ours = load_model(folder / "theirs")
    assert isinstance(ours, VisionLanguageModel)
    margins = Margins(theirs, sweep)
    for attempt in range(40):
        ids, images = _images_prompt(random.Random(f"{seed} {attempt}"), ours.config)
        values = {"pixel_values": images.pixel_values, "image_grid_hw": images.image_grid_hw}
        margins.smallest = float("inf")
        expected = theirs(input_ids=ids[None], **values).logits[0]
        if margins.smallest > MARGIN:
            break
    else:
        raise AssertionError("on 40 prompts some router was almost undecided; choose another seed")
    assert_close(ours(ids, **values), expected, "prefill")
    embeds, text = ours.embed(ids, **values), ours.language_model
    cache = Cache.allocate(text.config, capacity=4)
    parts = [text(part, cache=cache) for part in embeds.split([1, 7, len(embeds) - 9, 1])]
    assert_close(text.logits(torch.cat(parts)), expected, "in pieces")
    save_model(ours, folder / "ours")
    again, loading = modeling.NemotronH_Omni_Reasoning_V3.from_pretrained(
        folder / "ours", dtype=torch.float32, output_loading_info=True
    )
    # vLLM's name of the norm that MTP brings, which is written beside theirs
    unexpected = [name for name in loading["unexpected_keys"] if "final_layernorm" not in name]
    assert not loading["missing_keys"] and not unexpected, loading
    sweep.prepare(again)
    assert_close(again.eval()(input_ids=ids[None], **values).logits[0], expected, "written back")


def _images_prompt(
    draw: random.Random, config: VisionLanguageConfig
) -> tuple[Tensor, PackedImages]:
    patch = config.vision.patch_size
    rule = ImageConfig(patch_size=patch, min_num_patches=4, max_num_patches=40, max_model_len=500)
    pictures = [_picture(draw, 8 * patch) for _ in range(draw.randint(1, 3))]
    images = ImageTransform(rule)(pictures)
    ids = [1]
    for info in images.infos:
        ids += [draw.randrange(30, 90), *[IMAGE] * info.visual_tokens, draw.randrange(30, 90)]
    return torch.tensor([*ids, *(draw.randrange(30, 90) for _ in range(9))]), images


def _picture(draw: random.Random, most: int) -> np.ndarray:
    random_ = np.random.default_rng(draw.randrange(2**32))
    return random_.integers(0, 256, (draw.randint(4, most), draw.randint(4, most), 3), np.uint8)


def compare_videos(seed: int, folder: Path, *, tiles: bool) -> None:
    """Ours alone: pictures and videos by the letter of the format, packed, in pieces, reopened.

    `tiles` is Nano V2 VL: pictures in tiles, frames one by one; else it is Omni.
    """
    draw = Draw(seed)
    config = _video_config(draw, tiles=tiles)
    model = random_model(config, seed=seed)
    chance = random.Random(seed)
    prompts = [_Prompt(model, chance, tiles=tiles) for _ in range(2)]
    alone = []
    for prompt in prompts:
        assert_close(model.embed(prompt.ids, **prompt.values), prompt.embeds, "visual tokens")
        text = model.language_model
        expected = text.logits(text(prompt.embeds))
        alone.append(model(prompt.ids, **prompt.values))
        assert_close(alone[-1], expected, "logits")
        cache = Cache.allocate(text.config, capacity=4)
        embeds = model.embed(prompt.ids, **prompt.values)
        parts = [text(part, cache=cache) for part in embeds.split([3, len(embeds) - 5, 1, 1])]
        assert_close(text.logits(torch.cat(parts)), expected, "in pieces")
    lengths = [len(prompt.ids) for prompt in prompts]
    values = {
        key: torch.cat([prompt.values[key] for prompt in prompts]) for key in prompts[0].values
    }
    bounds = torch.tensor([0, lengths[0], sum(lengths)], dtype=torch.int32)
    row = model(torch.cat([prompt.ids for prompt in prompts]), cu_seqlens=bounds, **values)
    assert_close(row, torch.cat(alone), "packed")
    save_model(model, folder)
    again = load_model(folder, strict_config=True)
    assert isinstance(again, VisionLanguageModel)
    written = again.state_dict()
    assert all(torch.equal(written[key], value) for key, value in model.state_dict().items())
    # Weights in a file lie elsewhere than in memory, which products may round by.
    assert_close(again(prompts[0].ids, **prompts[0].values), alone[0], "reopened")


def _video_config(draw: Draw, *, tiles: bool) -> VisionLanguageConfig:
    heads, width = draw.one_of((2, 32), (4, 32), (3, 24), (1, 16))
    base = tiny()
    return VisionLanguageConfig(
        text=replace(
            base.text,
            hidden_size=draw.one_of(32, 24),
            hybrid_override_pattern=draw.one_of("M*-M", "M-*", "*M-"),
            num_nextn_predict_layers=0 if tiles else draw.one_of(0, 1),
        ),
        vision=RadioConfig(
            hidden_size=width,
            num_layers=draw.one_of(1, 2, 3),
            num_heads=heads,
            intermediate_size=width * draw.one_of(2, 3),
            patch_size=draw.one_of(8, 4, 6),
            pos_grid=draw.one_of(6, 4, 9),
            num_cls_tokens=draw.one_of(1, 2),
            num_registers=draw.one_of(3, 0),
            summary_idxs=(0,),
            video_temporal_patch_size=None if tiles else draw.one_of(2, 2, 3),
        ),
        projector_hidden_size=draw.one_of(40, 24),
        image_token_id=IMAGE,
        video_token_id=draw.one_of(VIDEO, 23),
        family="NemotronH_Nano_VL_V2" if tiles else "nemotron_h_omni",
    )


class _Prompt:
    """Pictures and videos in any order, as model inputs and as embeddings put together by hand."""

    def __init__(self, model: VisionLanguageModel, draw: random.Random, *, tiles: bool) -> None:
        self.model, self.tiles = model, tiles
        patch = model.config.vision.patch_size
        self.patch, self.together = patch, model.config.frames_per_tubelet
        target = draw.choice([16, 24, 36])
        rule = Tubelets(
            patch_size=patch,
            target_num_patches=16 if tiles else target,
            keeps_aspect=not tiles,
            frames_per_tubelet=self.together,
        )
        pictures: list[Picture] = [_picture(draw, 9 * patch) for _ in range(draw.randint(1, 2))]
        clips = [
            frames(draw.randint(1, 5), draw.randint(4, 60), draw.randint(4, 60), seed=number)
            for number in range(draw.randint(1, 3))
        ]
        images = self._images(pictures)
        videos = VideoTransform(VideoConfig(tubelets=rule))(
            [Video(frames=tuple(clip), timestamps=(0.0,) * len(clip)) for clip in clips]
        )
        self.values = _values(images, videos)
        pieces: list[tuple[int, Tensor]] = [
            *((IMAGE, self._picture_tokens(each, images, idx)) for idx, each in enumerate(pictures))
        ]
        for clip, info in zip(clips, videos.infos, strict=True):
            grid = (info.resized_size[0] // patch, info.resized_size[1] // patch)
            tokens = video_tokens(model, clip, grid, self.together).flatten(0, 2)
            pieces.append((model.config.video_placeholder_id, tokens))
        self.ids, self.embeds = self._joined(_interleaved(pieces, draw), draw)

    def _images(self, pictures: list[Picture]) -> PackedImages:
        if self.tiles:
            size = 4 * self.patch
            return TileTransform(
                TileConfig(image_size=size, patch_size=self.patch, max_num_tiles=4)
            )(pictures)
        rule = ImageConfig(patch_size=self.patch, min_num_patches=4, max_num_patches=40)
        return ImageTransform(rule)(pictures)

    def _picture_tokens(self, picture: Picture, images: PackedImages, idx: int) -> Tensor:
        info = images.infos[idx]
        height, width = info.resized_size
        array = np.asarray(picture)
        whole = resized(array, height, width)
        seen = [whole]
        if self.tiles:
            size = 4 * self.patch
            seen = [
                whole[:, y : y + size, x : x + size]
                for y in range(0, height, size)
                for x in range(0, width, size)
            ]
            if len(seen) > 1:
                seen.append(resized(array, size, size))
        weight = self.model.vision_encoder.patch_generator.embedder.weight
        found = [
            visual_tokens(self.model, tower_features(self.model, [planes], weight))
            for planes in seen
        ]
        return torch.cat([tokens.flatten(0, 1) for tokens in found])

    def _joined(
        self, pieces: list[tuple[int, Tensor]], draw: random.Random
    ) -> tuple[Tensor, Tensor]:
        table = self.model.language_model.embeddings.weight
        ids: list[int] = []
        embeds: list[Tensor] = []
        for place, tokens in [*pieces, (None, table[:0])]:
            said = [draw.randrange(32, 300) for _ in range(draw.randint(2, 5))]
            ids += [*said, *[place] * len(tokens)] if place is not None else said
            embeds += [table[said], tokens]
        return torch.tensor(ids), torch.cat(embeds)


def _values(images: PackedImages, videos: PackedVideos) -> dict[str, Tensor]:
    return {
        "pixel_values": images.pixel_values,
        "image_grid_hw": images.image_grid_hw,
        "pixel_values_videos": videos.pixel_values,
        "video_grid_thw": videos.grid_thw,
    }


def _interleaved(pieces: list[tuple[int, Tensor]], draw: random.Random) -> list[tuple[int, Tensor]]:
    """In another order, but pictures among themselves and videos among themselves in order."""
    places = [place for place, _ in pieces]
    draw.shuffle(places)
    rest = {place: [tokens for other, tokens in pieces if other == place] for place in places}
    return [(place, rest[place].pop(0)) for place in places]
