"""A recipe that draws videos beside documents: the same processor, EVS, and a model that sees."""

import json
import shutil
from pathlib import Path

import pytest

import latentvlm
from latentvlm.data.processor import Processor
from latentvlm.data.processor_files import read_json
from latentvlm.data.synthetic import GeneratorConfig
from latentvlm.data.synthetic.videos import generate_video
from latentvlm.data.synthetic.videos.encode import write_mp4
from latentvlm.data.tokenizer import CHAT_TEMPLATE, make_room_for_videos
from latentvlm.errors import ConfigError
from latentvlm.vlm.api import PRETRAINED
from latentvlm.vlm.train.recipe import parse_recipe
from latentvlm.vlm.train.run import run_recipe

LINE = {"level": "line", "font_sizes": [12, 12], "fonts": ["arimo"]}
VIDEO = {
    "level": "video", "font_sizes": [12, 12], "fonts": ["arimo"], "frames": [6, 8],
    "frame_patches": 256,
}  # fmt: skip


def values(output: Path, **changes) -> dict:
    rates = {"vision_encoder": 1e-3, "projector": 1e-3, "language_model": 1e-3}
    stage = {
        "name": "watch", "task": "answers", "steps": 2, "learning_rates": rates,
        "data": [{"config": VIDEO, "weight": 3}, {"config": LINE, "weight": 1}],
        "rows": {"tokens": 2048, "patches": 4096}, "evs": {"rates": [0.0, 0.5]},
        "losses": {"char": 0.5, "mtp": 0.1}, "log_every": 1, "warmup_steps": 1,
        "evaluation": {
            "data": VIDEO | {"split": "heldout", "fonts": []}, "documents": 3, "every": 2,
        },
    }  # fmt: skip
    return {
        "name": "videos", "seed": 1, "preset": "tiny", "output": str(output),
        "tokenizer": {"vocab_size": 300, "documents": 12},
        "resolution": {"video_num_patches": 256},
        "data": {"workers": 0, "documents_per_shard": 4}, "stages": [stage], **changes,
    }  # fmt: skip


def test_a_run_learns_from_videos_and_its_model_is_asked_about_one(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps(values(tmp_path / "run")))
    assert run_recipe(recipe, show=False, device="cpu", threads=1).finished
    log = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    scores = next(each for each in log if each["kind"] == "evaluation")
    assert any(key.startswith("exact video_") for key in scores)
    model = tmp_path / "run" / "model"
    written = read_json(model / "processor_config.json")["video_processor"]
    assert written["video_target_num_patches"] == 256
    drawn = generate_video(5, GeneratorConfig(level="video", frame_patches=256, frames=(8, 8)))
    path = write_mp4(drawn, tmp_path / "clip.mp4")
    generation = latentvlm.GenerationConfig(max_tokens=3)
    answer = latentvlm.load(model, device="cpu").ask(
        "When does it change?", path, frames=8, generation=generation
    )
    assert answer.frames[0].timestamps == pytest.approx(drawn.timestamps, abs=1e-3)
    height, width = drawn.frames.shape[1:3]
    # 8 frames are 4 tubelets of a token each 16 x 16 pixels: nothing was resized
    assert answer.usage.visual_tokens == 4 * (height // 16) * (width // 16)


def test_frames_are_drawn_for_the_processor_that_sees_them(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="256 but resolution.video_num_patches is 512"):
        parse_recipe(values(tmp_path, resolution={}))


def test_an_older_chat_template_gets_a_place_for_videos_and_keeps_the_rest(tmp_path: Path) -> None:
    folder = tmp_path / "processor"
    shutil.copytree(PRETRAINED, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    old = "".join(line for line in CHAT_TEMPLATE.splitlines(keepends=True) if "video" not in line)
    (folder / "chat_template.jinja").write_text(old)
    parts = [{"type": "image", "image": None}, {"type": "text", "text": "?"}]
    messages = [
        {"role": "user", "content": parts},
        {"role": "assistant", "content": "This."},
    ]
    before = Processor.from_folder(folder, video_token_id=-7)
    assert not before.sees_videos
    make_room_for_videos(folder)
    after = Processor.from_folder(folder, video_token_id=-7)
    assert after.sees_videos
    rendered = [
        each.template.render(messages, add_generation_prompt=True) for each in (before, after)
    ]
    assert rendered[0] == rendered[1]
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }}")
    with pytest.raises(ConfigError, match="no place for videos"):
        make_room_for_videos(folder)
