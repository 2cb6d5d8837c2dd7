"""Videos in prompts: labels, runs of placeholders, patches of tubelets, and what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.videos import frames, resized, video

from latentvlm.data.image_transform import ImageConfig
from latentvlm.data.model_inputs import IGNORED_LABEL
from latentvlm.data.processor import Processor
from latentvlm.data.processor_files import read_video_config, write_processor_files
from latentvlm.data.tokenizer import train_tokenizer
from latentvlm.data.video import frame_times, tubelet_labels
from latentvlm.errors import MediaError, PromptError

VIDEO_ID = 400  # past the vocabulary, as in the releases
PAIR = "Frame 1 sampled at 0.00 seconds and frame 2 sampled at 0.50 seconds: "


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("processor")
    train_tokenizer(["Frame sampled at seconds: what happens?"] * 2, vocab_size=300, folder=path)
    images = ImageConfig(patch_size=8, min_num_patches=4, max_num_patches=64)
    write_processor_files(path, tokenizer_folder=path, image_config=images)
    return path


@pytest.fixture(scope="module")
def processor(folder: Path) -> Processor:
    return Processor.from_folder(folder, video_token_id=VIDEO_ID, frames_per_tubelet=2)


def ask(*parts):
    return [{"role": "user", "content": [*parts, {"type": "text", "text": "What happens?"}]}]


def shown(processor: Processor, ids) -> str:
    """The prompt as text, runs of placeholders as their length."""
    text, run = "", 0
    image_id = processor.image_token_id
    for idx in [*ids.tolist(), None]:
        if idx in (VIDEO_ID, image_id):
            run += 1
            kind = "V" if idx == VIDEO_ID else "I"
            continue
        text += f"[{run}{kind}]" if run else ""
        run = 0
        if idx is not None:
            text += processor.decode([idx], skip_special_tokens=False)
    return text


def test_labels_and_times():
    assert tubelet_labels([0.0, 0.5, 1.0], 2) == [
        "Frame 1 sampled at 0.00 seconds and frame 2 sampled at 0.50 seconds: ",
        "\nFrame 3 sampled at 1.00 seconds: ",
    ]
    assert tubelet_labels([0.0, 12.345], 1) == [
        "Frame 1 sampled at 0.00 seconds: ",
        "\nFrame 2 sampled at 12.35 seconds: ",  # half of a cent is rounded as Python does
    ]
    # 30 frames a second are 33 milliseconds each
    assert frame_times([0, 15, 30], 30) == (0.0, 0.495, 0.99)
    assert frame_times(range(3), 2) == (0.0, 0.5, 1.0)


def test_the_prompt_of_two_videos_and_a_picture(processor: Processor):
    picture = {"type": "image", "image": Image.new("RGB", (32, 16))}
    inputs = processor(ask(video(3, 48, 64), picture, video(2, 64, 32, seed=1, fps=30)))
    # 64 patches: 48 x 64 pixels are 6 x 8 patches, 64 x 32 are 11 x 6, so 10 x 6
    assert shown(processor, inputs.input_ids) == (
        f"<|im_start|>user\n{PAIR}<img>[12V]</img>\n"
        "Frame 3 sampled at 1.00 seconds: <img>[12V]</img>\n"
        "<img>[2I]</img>\n"
        "Frame 1 sampled at 0.00 seconds and frame 2 sampled at 0.03 seconds: "
        "<img>[15V]</img>\nWhat happens?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert inputs.video_grid_thw is not None and inputs.pixel_values_videos is not None
    assert inputs.video_grid_thw.tolist() == [[2, 6, 8], [1, 10, 6]]
    assert [info.shape for info in inputs.videos] == [(2, 3, 4), (1, 5, 3)]
    assert inputs.pixel_values_videos.shape == (2 * 48 + 60, 2 * 3 * 64)
    assert inputs.visual_tokens == 24 + 2 + 15 and len(inputs.images) == 1


def test_patches_of_a_tubelet(processor: Processor):
    """Frame, channel, y, x; the odd last frame is repeated."""
    three = frames(3, 40, 72)
    inputs = processor(ask({"type": "video", "frames": three, "timestamps": [0, 1, 2]}))
    (info,) = inputs.videos
    rows, cols = info.resized_size[0] // 8, info.resized_size[1] // 8
    patches = inputs.pixel_values_videos
    assert patches is not None
    patches = patches.view(2, rows, cols, 2, 3, 8, 8)
    for tubelet, slot, frame in [(0, 0, 0), (0, 1, 1), (1, 0, 2), (1, 1, 2)]:
        planes = resized(three[frame], *info.resized_size)
        whole = patches[tubelet, :, :, slot].permute(2, 0, 3, 1, 4).reshape(3, rows * 8, cols * 8)
        torch.testing.assert_close(whole, planes, atol=1e-5, rtol=0)


def test_frames_as_pictures_and_as_one_array(processor: Processor):
    array = np.stack(frames(2, 32, 32))
    expected = processor(ask({"type": "video", "frames": array, "fps": 1})).pixel_values_videos
    pictures = [Image.fromarray(frame) for frame in array]
    found = processor(ask({"type": "video", "frames": pictures, "fps": 1})).pixel_values_videos
    assert expected is not None and found is not None and torch.equal(found, expected)


def test_a_tokenizer_without_a_video_token(folder: Path, tmp_path: Path, processor: Processor):
    """As released: the template writes `<video>`, which is text to the tokenizer."""
    shutil.copytree(folder, tmp_path / "model")
    for name in ["tokenizer.json", "tokenizer_config.json"]:
        path = tmp_path / "model" / name
        path.write_text(path.read_text().replace("<video>", "<SPECIAL_23>"))
    other = Processor.from_folder(tmp_path / "model", video_token_id=VIDEO_ID, frames_per_tubelet=2)
    assert other.tokenizer.token_to_id("<video>") is None
    messages = ask(video(2, 32, 32), {"type": "text", "text": "Is <video> one? "})
    ids = other(messages).input_ids
    assert shown(other, ids) == shown(processor, processor(messages).input_ids)
    assert shown(other, ids).count("<video>") == 1


def test_answers_about_videos_are_learnt(processor: Processor):
    inputs = processor.encode_conversation(
        [*ask(video(2, 32, 32)), {"role": "assistant", "content": "Nothing."}]
    )
    assert inputs.labels is not None
    learnt = inputs.input_ids[inputs.labels != IGNORED_LABEL]
    assert processor.decode(learnt, skip_special_tokens=False) == "Nothing.<|im_end|>"


def test_settings_are_read_from_the_folder(folder: Path, tmp_path: Path):
    path = tmp_path / "config.json"
    (tmp_path / "preprocessor_config.json").write_text('{"min_num_patches": 4}')
    values = {"vision_config": {"video_target_num_patches": 100, "args": {}}}
    path.write_text(json.dumps(values))
    assert read_video_config(tmp_path, frames_per_tubelet=2).tubelets.target_num_patches == 100
    values["vision_config"]["video_maintain_aspect_ratio"] = False  # type: ignore[assignment]
    path.write_text(json.dumps(values))
    assert read_video_config(tmp_path, frames_per_tubelet=2).tubelets.grid(10, 30) == (10, 10)
    assert read_video_config(folder, frames_per_tubelet=2).tubelets.target_num_patches == 64


@pytest.mark.parametrize(
    ("part", "error", "words"),
    [
        ({"video": "clip.mp4"}, MediaError, "something other than frames"),
        ({"frames": "clip.mp4", "fps": 2}, MediaError, "something other than frames"),
        ({"frames": [], "fps": 2}, MediaError, "without frames"),
        ({"frames": frames(2, 8, 8)}, PromptError, "without times"),
        ({"frames": frames(2, 8, 8), "fps": 0}, PromptError, "0 frames a second"),
        ({"frames": frames(2, 8, 8), "fps": "x"}, PromptError, "'x' frames a second"),
        ({"frames": frames(2, 8, 8), "timestamps": [1]}, PromptError, "2 frames but 1 times"),
        ({"frames": frames(2, 8, 8), "timestamps": [1, 0]}, PromptError, "never fall"),
        ({"frames": frames(2, 8, 8), "timestamps": [0, None]}, PromptError, "never fall"),
        ({"frames": frames(2, 8, 8), "timestamps": 5}, PromptError, "never fall"),
        *(
            (
                {"frames": frames(2, 8, 8), "fps": 30, "frame_indices": indices},
                PromptError,
                "frame_indices are not whole numbers",
            )
            for indices in (5, ["a", 1], [0.5, 1], [3, 0], [-1, 0], [0, None])
        ),
        ({"frames": frames(1, 8, 8)[0], "fps": 2}, MediaError, r"one array of shape \(8, 8, 3\)"),
        ({"frames": frames(2, 8, 8), "fps": 2, "frame_idx": [0, 5]}, PromptError, "with frame_idx"),
        (
            {"frames": frames(2, 8, 8), "fps": 30, "frame_indices": [1]},
            PromptError,
            "2 frames but 1 times",
        ),
        (
            {"frames": [*frames(1, 8, 8), *frames(1, 8, 9)], "fps": 2},
            MediaError,
            "Frame 2 of a video is 9 x 8 pixels but frame 1 is 8 x 8",
        ),
    ],
)
def test_what_is_no_video(processor: Processor, part: dict, error, words: str):
    with pytest.raises(error, match=words):
        processor(ask({"type": "video", **part}))


def test_where_there_is_no_place_for_videos(folder: Path, tmp_path: Path):
    with pytest.raises(PromptError, match="no videos"):
        Processor.from_folder(folder)(ask(video(1, 8, 8)))
    shutil.copytree(folder, tmp_path / "model")
    template = "{% for m in messages %}{{ m.content[0].text }}{% endfor %}"
    (tmp_path / "model" / "chat_template.jinja").write_text(template)
    silent = Processor.from_folder(tmp_path / "model", video_token_id=VIDEO_ID)
    with pytest.raises(PromptError, match="no videos"):
        silent(ask(video(1, 8, 8)))
