"""Video files through the API: the frames that are seen are those of the answer, and no others."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.clips import number_of, numbered, write_clip
from support.tiny_model import tiny_config, write_tiny_model
from support.tiny_vl_v2 import write_tiny_vl_v2
from support.without_videos import copy_without_videos

import latentvlm
from latentvlm import FrameChoice, GenerationConfig
from latentvlm.data.processor_files import read_json, read_video_config, write_json
from latentvlm.errors import ConfigError, InputError, MediaError, PromptError
from latentvlm.vlm.api import PRETRAINED
from latentvlm.vlm.video_parts import VideoOpener
from latentvlm.vlm.vlm import VLM

FOUR = GenerationConfig(max_tokens=4, repetition_penalty=1.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("omni")
    write_tiny_model(path, config=replace(tiny_config(), video_token_id=400))
    return path


@pytest.fixture(scope="module")
def vlm(folder: Path) -> VLM:
    return latentvlm.load(folder, device="cpu")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds at 30 frames a second."""
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4")


@pytest.fixture(scope="module")
def gif() -> bytes:
    buffer = io.BytesIO()
    pictures = [Image.fromarray(numbered(n)) for n in range(4)]
    pictures[0].save(buffer, "GIF", save_all=True, append_images=pictures[1:], duration=500)
    return buffer.getvalue()


def user(*parts) -> list[dict]:
    return [{"role": "user", "content": [*parts, {"type": "text", "text": "What is it?"}]}]


def test_a_file_is_asked_as_its_frames_are(vlm: VLM, clip: Path):
    asked = vlm.ask("What is it?", clip, generation=FOUR, frames=4)
    (seen,) = asked.frames
    assert seen.indices == (0, 19, 39, 59) and seen.source == str(clip)
    assert seen.timestamps == pytest.approx([n / 30 for n in seen.indices], abs=1e-3)
    assert seen.num_frames == 60 and seen.way == "uniform" and seen.notes == ()
    opener = VideoOpener(processor=vlm.processor, choice=FrameChoice(count=4))
    part, _ = opener.open({"type": "video", "video": clip}, "Message 0")
    assert [number_of(frame) for frame in part["frames"]] == [0, 19, 39, 59]
    given = {"type": "video", "frames": list(part["frames"]), "timestamps": seen.timestamps}
    again = vlm.ask("What is it?", given, generation=FOUR)
    assert again.token_ids == asked.token_ids and again.usage == asked.usage
    assert again.frames[0].backend == "frames" and again.frames[0].indices == (0, 1, 2, 3)
    for other in [
        vlm.ask("What is it?", clip.read_bytes(), generation=FOUR, frames=4),
        vlm.chat(user({"type": "video", "video": str(clip), "choice": 4}), generation=FOUR),
        vlm.chat(user({"type": "media", "media": clip}), generation=FOUR, frames=4),
    ]:
        assert other.token_ids == asked.token_ids and other.frames[0].indices == seen.indices
    prompt = vlm.processor.decode(vlm.processor(user(part)).input_ids.clamp(max=319))
    for seconds in seen.timestamps:
        assert f"sampled at {seconds:.2f} seconds" in prompt
    score = vlm.score("What is it?", "It is", clip, frames=4)
    assert score.total == vlm.score("What is it?", "It is", given).total


def test_what_a_family_asks_for_unasked(folder: Path, vlm: VLM, clip: Path, tmp_path: Path):
    omni = read_video_config(folder, frames_per_tubelet=2).frames
    assert omni == FrameChoice(way="uniform", fps=1, max_frames=512)
    assert vlm.ask("What is it?", clip, generation=FOUR).frames[0].indices == (0, 59)
    write_tiny_vl_v2(tmp_path)
    tiles = read_video_config(tmp_path, frames_per_tubelet=1).frames
    assert tiles == FrameChoice(way="uniform", fps=2, max_frames=128)
    v2 = latentvlm.load(tmp_path, device="cpu")
    answer = v2.ask("What is it?", clip, generation=FOUR)
    assert answer.frames[0].indices == (0, 19, 39, 59)
    assert answer.usage.visual_tokens == 4 * (32 // 8 // 2) ** 2  # a tile a frame
    fewer = v2.ask("What is it?", clip, generation=FOUR, frames=FrameChoice(max_frames=2))
    assert fewer.frames[0].indices == (0, 59)
    values = read_json(folder / "processor_config.json")
    values["video_processor"] |= {"fps": 4, "num_frames": 16}
    write_json(tmp_path / "processor_config.json", values)
    own = read_video_config(tmp_path, frames_per_tubelet=2).frames
    assert own == FrameChoice(way="uniform", fps=4, max_frames=16)


def test_large_frames_are_scaled_and_counted_as_they_were(vlm: VLM, tmp_path: Path):
    large = write_clip(tmp_path / "large.mp4", 3, size=(360, 640))
    answer = vlm.ask("What is it?", large, generation=FOUR, frames=3)
    rule = vlm.processor.video_transform.tubelets
    rows, cols = rule.grid(360, 640)
    opener = VideoOpener(processor=vlm.processor, choice=FrameChoice(count=3))
    part, report = opener.open({"type": "video", "video": large}, "Message 0")
    assert part["frames"][0].shape == (rows * 8, cols * 8, 3) and report.size == (360, 640)
    (info,) = vlm.processor(user(part)).videos
    assert info.original_size == (360, 640) and info.resized_size == (rows * 8, cols * 8)
    assert answer.usage.visual_tokens == 2 * rows * cols // 4
    # scaled by the decoder or by the processor: the same picture but for rounding
    frames = [numbered(n, (360, 640)) for n in range(3)]
    whole = vlm.processor(user({"type": "video", "frames": frames, "fps": 30}))
    scaled = vlm.processor(user(part))
    assert whole.pixel_values_videos is not None and scaled.pixel_values_videos is not None
    assert (whole.pixel_values_videos - scaled.pixel_values_videos).abs().mean() < 0.05


def test_frames_by_token_budget_scene_and_among_those_given(vlm: VLM, clip: Path, tmp_path: Path):
    budget = FrameChoice(fps=30, token_budget=300)
    answer = vlm.ask("What is it?", clip, generation=FOUR, frames=budget)
    (per_tubelet,) = set(answer.usage.videos[0].kept_per_tubelet)
    assert 300 - per_tubelet < answer.usage.visual_tokens <= 300
    assert len(answer.frames[0].indices) == 2 * (300 // per_tubelet)
    with pytest.raises(InputError, match="more than the budget of 10"):
        vlm.ask("What is it?", clip, frames=FrameChoice(token_budget=10))
    rng = np.random.default_rng(0)
    scenes = [rng.integers(0, 255, (4, 6, 3), dtype=np.uint8) for _ in range(3)]
    frames = [scene.repeat(16, 0).repeat(16, 1) for scene in scenes for _ in range(20)]
    path = write_clip(tmp_path / "scenes.mp4", frames)
    seen = vlm.ask("What is it?", path, generation=FOUR, frames="scene").frames[0]
    assert {idx // 20 for idx in seen.indices} == {0, 1, 2} and len(seen.scenes) == 3
    given = {"type": "video", "frames": frames, "fps": 30}
    among = vlm.ask("What is it?", given, generation=FOUR, frames=FrameChoice(way="scene", count=3))
    assert {idx // 20 for idx in among.frames[0].indices} == {0, 1, 2}
    assert among.usage.videos[0].timestamps[0] == among.frames[0].timestamps[0]


def test_an_animation_is_a_video_where_the_model_sees_videos(vlm: VLM, gif: bytes):
    moving = vlm.ask("What is it?", gif, generation=FOUR, frames=4)
    assert moving.frames[0].timestamps == (0.0, 0.5, 1.0, 1.5)
    assert moving.usage.image_grids == ()
    still = vlm.chat(user({"type": "image", "image": gif}), generation=FOUR)
    assert still.frames == () and len(still.usage.image_grids) == 1


def test_a_model_without_videos_says_so_and_sees_the_first_picture(
    gif: bytes, clip: Path, tmp_path: Path
):
    default = latentvlm.load(copy_without_videos(PRETRAINED, tmp_path / "default"), device="cpu")
    for medium in [clip, {"type": "video", "video": clip}, clip.parent]:
        with pytest.raises(PromptError, match="sees pictures but no videos.* of .*clip"):
            default.ask("What is it?", medium)
    answer = default.ask("What is it?", gif, generation=GenerationConfig(max_tokens=1))
    assert answer.frames == () and len(answer.usage.image_grids) == 1


def test_several_videos_and_a_picture_and_evs(vlm: VLM, clip: Path, gif: bytes):
    answer = vlm.chat(
        user(
            {"type": "video", "video": clip, "choice": FrameChoice(count=6), "evs_rate": 0.5},
            {"type": "image", "image": numbered(3)},
            {"type": "media", "media": gif},
        ),
        generation=FOUR,
        frames=FrameChoice(max_frames=3, fps=10),
    )
    assert [len(video.indices) for video in answer.frames] == [6, 3]
    first, second = answer.usage.videos
    assert first.visual_tokens == first.visual_tokens_before // 2
    assert second.visual_tokens == second.visual_tokens_before


def test_warnings_and_what_is_refused(vlm: VLM, clip: Path, tmp_path: Path):
    for n in range(3):
        Image.fromarray(numbered(n)).save(tmp_path / f"{n}.png")
    answer = vlm.ask("What is it?", tmp_path, generation=FOUR)
    assert answer.frames[0].backend == "pictures"
    assert any("a second apart" in warning for warning in answer.warnings)
    timed = {"type": "video", "video": tmp_path, "fps": 2}
    assert vlm.ask("What is it?", timed, generation=FOUR, frames=3).frames[0].timestamps[1] == 0.5
    with pytest.raises(PromptError, match="a video file with frame_indices; one has type, video"):
        vlm.ask("What is it?", {"type": "video", "video": clip, "frame_indices": [0]})
    with pytest.raises(MediaError, match="clip.mp4 has its own times"):
        vlm.ask("What is it?", {"type": "video", "video": clip, "fps": 2})
    with pytest.raises(MediaError, match="is a video; give it as"):
        vlm.chat(user({"type": "image", "image": clip}))
    with pytest.raises(ConfigError, match="frames is 2.5; give"):
        vlm.ask("What is it?", clip, frames=2.5)  # type: ignore[arg-type]
    text = VLM(vlm.model.language_model, processor=vlm.processor)  # type: ignore[union-attr]
    with pytest.raises(InputError, match="reads text only"):
        text.ask("What is it?", clip)


def test_limits_of_a_request_hold_for_its_files_and_frames(vlm: VLM, clip: Path, gif: bytes):
    few = latentvlm.VideoLimits(max_frames=3)
    given = {"type": "video", "frames": [numbered(1)] * 4, "fps": 2}
    for medium in (clip, clip.read_bytes(), gif, given):
        with pytest.raises(MediaError, match=r"4 frames of .* are more than the 3"):
            vlm.ask("What is it?", medium, generation=FOUR, frames=4, video_limits=few)
        seen = vlm.ask("What is it?", medium, generation=FOUR, frames=3, video_limits=few).frames[0]
        assert len(seen.indices) == 3
    with pytest.raises(ConfigError, match=r"video_limits is a dict; give latentvlm.VideoLimits"):
        vlm.ask("What is it?", clip, video_limits={"max_frames": 3})  # type: ignore[arg-type]
