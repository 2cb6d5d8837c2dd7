"""Videos drawn from seeds: the same everywhere, and every answer is what the frames show."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from latentvlm.data.frame_choice import FrameChoice
from latentvlm.data.media.frame_source import FrameNeeds
from latentvlm.data.media.video import read_video
from latentvlm.data.synthetic import GeneratorConfig, generate
from latentvlm.data.synthetic.questions import VIDEO_KINDS
from latentvlm.data.synthetic.splits import on_side
from latentvlm.data.synthetic.videos import DrawnVideo, generate_video
from latentvlm.data.synthetic.videos.encode import write_mp4
from latentvlm.data.synthetic.videos.generate import TEMPLATES
from latentvlm.data.synthetic.videos.phrases import _PHRASES, kind_of
from latentvlm.data.synthetic.videos.shapes import _COLOURS
from latentvlm.data.video import Video, tubelet_labels
from latentvlm.data.video_transform import VideoConfig, VideoTransform
from latentvlm.errors import ConfigError
from latentvlm.token_reduction.tubelets import Tubelets


def draw(seed: int, *templates: str, split: str = "train", **options) -> DrawnVideo:
    config = GeneratorConfig(
        level="video", split=split, font_sizes=(13, 16), templates=templates,
        **{"max_questions": 99, **options},
    )  # fmt: skip
    return generate_video(seed, config)


def digest(video: DrawnVideo) -> str:
    text = f"{video.frames.shape}\n{video.timestamps}\n{video.lines}\n{video.qas}".encode()
    return hashlib.sha256(text + video.frames.tobytes()).hexdigest()[:16]


# Size, times, text, questions and pixels of seed 7.
PINNED = {
    ("slides", "train"): "9ed5b18d94cd1e3b",
    ("slides", "heldout"): "92e0f9d1a9b1f437",
    ("change", "train"): "c3534aeb5608fd96",
    ("change", "heldout"): "3201832873eec7cb",
    ("typing", "train"): "3a44d0406efcd8cd",
    ("typing", "heldout"): "8d07bd0a0ebb99a0",
    ("buttons", "train"): "410953a5f4c6dcc9",
    ("buttons", "heldout"): "40fc0fa59e415217",
    ("scrolling", "train"): "9aa1efb57109e765",
    ("scrolling", "heldout"): "fdac44b397f8674f",
    ("shapes", "train"): "542c5cf452dedd81",
    ("shapes", "heldout"): "06bd640b9b9b02d5",
    ("counter", "train"): "c3554a69aadf6680",
    ("counter", "heldout"): "86ee0eea63a10324",
    ("ticker", "train"): "3b8c75bfef09767a",
    ("ticker", "heldout"): "dc0d5580c5d80dbe",
}


@pytest.mark.parametrize(("template", "split"), sorted(PINNED))
def test_a_seed_draws_the_same_video_everywhere(template: str, split: str):
    assert digest(draw(7, template, split=split)) == PINNED[template, split]


def test_everything_is_pinned_and_seeds_do_not_disturb_each_other():
    assert PINNED.keys() == {(t, s) for t in TEMPLATES for s in ("train", "heldout")}
    first = [digest(draw(seed)) for seed in range(6)]
    assert first == [digest(draw(seed)) for seed in reversed(range(6))][::-1]
    assert len(set(first)) == 6


def changes(video: DrawnVideo) -> list[float]:
    """Seconds of the frames that differ from the one before."""
    differ = (video.frames[1:] != video.frames[:-1]).any(axis=(1, 2, 3))
    return [video.timestamps[idx + 1] for idx in np.flatnonzero(differ)]


def answers(video: DrawnVideo, kind: str) -> list[tuple[str, str]]:
    return [(qa.question, qa.answer) for qa in video.qas if qa.kind == kind]


def events(video: DrawnVideo) -> list[tuple[str, float]]:
    found = video.meta["events"]
    assert isinstance(found, list)
    return [(name, seconds) for name, seconds in found]


@pytest.mark.parametrize("template", ["slides", "counter", "scrolling"])
def test_frames_change_exactly_when_the_answers_say_so(template: str):
    for seed in range(8):
        video = draw(seed, template)
        assert changes(video) == [seconds for _, seconds in events(video)[1:]]
        for question, second in answers(video, "video_second"):
            assert any(f"{at:.2f}" == second and name in question for name, at in events(video))


def test_one_value_changes_once_and_where_its_line_is():
    for seed in range(8):
        video = draw(seed, "change")
        ((label, seconds),) = events(video)
        assert changes(video) == [seconds]
        first = video.timestamps.index(seconds)
        rows = (video.frames[first] != video.frames[first - 1]).any(axis=(1, 2))
        assert np.flatnonzero(rows).max() - np.flatnonzero(rows).min() < 24  # one line
        assert label in [answer for _, answer in answers(video, "video_change")]


def test_typing_only_ever_adds_ink_to_a_field():
    for seed in range(8):
        video = draw(seed, "typing")
        ((_, count),) = answers(video, "video_count")
        assert int(count) == len(events(video))
        first, last = video.frames[0], video.frames[-1]
        assert (last != first).any()
        for label, seconds in events(video):
            frame = video.timestamps.index(seconds)
            assert (video.frames[frame] != video.frames[frame - 1]).any(), label


def test_buttons_turn_dark_when_they_are_pressed():
    for seed in range(8):
        video = draw(seed, "buttons")
        ((_, seconds),) = events(video)
        dark = [(frame == 70).all(axis=2).sum() for frame in video.frames]
        pressed = video.timestamps.index(seconds)
        assert max(dark[:pressed]) < 30 < 100 < min(dark[pressed:])


def where(frame: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """(y, x) of every pixel of a colour."""
    return np.argwhere((frame == colour).all(axis=2))


def test_shapes_move_appear_and_change_as_told():
    checked = set()
    for seed in range(20):
        video = draw(seed, "shapes")
        names = [name for name, _ in events(video)]
        ((_, count),) = answers(video, "video_count")
        assert int(count) == len(names)
        for name, seconds in events(video):
            colour = _COLOURS[name.split()[0]]
            seen = [len(where(frame, colour)) > 0 for frame in video.frames]
            assert seen.index(True) == video.timestamps.index(seconds)
        for question, answer in answers(video, "video_change"):
            name = next(name for name in names if name in question)
            frames = [where(frame, _COLOURS[name.split()[0]]) for frame in video.frames]
            if answer in _COLOURS:
                assert len(where(video.frames[-1], _COLOURS[answer]))
                checked.add("colour")
                continue
            shown = [places.mean(0) for places in frames if len(places)]
            if len(shown) > 1 and (abs(shown[-1] - shown[0]) >= 1).any():
                down, right = shown[-1] - shown[0]
                far = "right" if right > 0 else "left"
                assert answer == (far if abs(right) > abs(down) else "down" if down > 0 else "up")
                checked.add(answer)
    assert checked == {"left", "right", "up", "down", "colour"}


def test_a_ticker_runs_to_the_left_past_its_last_message():
    for seed in range(6):
        video = draw(seed, "ticker")
        ink = [np.flatnonzero((frame != frame[0, 0]).any(axis=(0, 2))) for frame in video.frames]
        starts = [columns.min() for columns in ink if len(columns)]
        assert starts[0] > 0.5 * video.frames.shape[2] and starts[-1] < starts[0]
        names = [name for name, _ in events(video)]
        ordered = dict(answers(video, "video_order"))
        assert set(ordered.values()) <= set(names) and {names[0], names[-1]} <= set(
            ordered.values()
        )


def test_moments_are_answered_as_the_labels_of_frames_say_them():
    seconds = 0
    for seed in range(20):
        video = draw(seed)
        labels = "".join(tubelet_labels(video.timestamps, 2))
        for _, answer in answers(video, "video_second"):
            assert f"sampled at {answer} seconds" in labels
            seconds += 1
    assert seconds > 20


def test_frames_are_seen_as_they_are_drawn():
    """At the patches they are drawn for nothing is resized, so type stays crisp."""
    for patches in (384, 512, 1024):
        rule = Tubelets(patch_size=8, target_num_patches=patches)
        transform = VideoTransform(VideoConfig(tubelets=rule))
        for seed in range(3):
            video = draw(seed, frame_patches=patches)
            height, width = video.frames.shape[1:3]
            assert 208 <= width <= 288 and 8 <= len(video.frames) <= 32
            part = Video(frames=tuple(video.frames), timestamps=video.timestamps)
            (info,) = transform([part]).infos
            assert info.resized_size == (height, width)


def test_training_and_held_out_videos_share_no_phrasing_word_or_shape():
    for what, (kind, training, heldout) in _PHRASES.items():
        assert kind in VIDEO_KINDS and kind == kind_of(what)
        assert training and heldout and not set(training) & set(heldout)
        assert len(set(training)) == len(training)
    for split in ("train", "heldout"):
        for seed in range(12):
            for title, _ in events(draw(seed, "slides", split=split)):
                assert all(on_side(word, split) for word in title.lower().split())
            for item, _ in events(draw(seed, "scrolling", split=split)):
                assert on_side(item, split)
    shapes = {
        split: {name for seed in range(40) for name, _ in events(draw(seed, "shapes", split=split))}
        for split in ("train", "heldout")
    }
    unseen = {"red ring", "blue square", "green circle", "orange bar"}
    assert unseen <= shapes["heldout"] and not unseen & shapes["train"]


def test_every_kind_of_question_is_asked_and_can_be_chosen():
    for template in TEMPLATES:
        for seed in range(4):
            assert draw(seed, template).qas and draw(seed, template, split="heldout").qas
    asked = {qa.kind for seed in range(30) for qa in draw(seed).qas}
    assert asked == set(VIDEO_KINDS)
    only = [qa for seed in range(10) for qa in draw(seed, question_kinds=("video_second",)).qas]
    assert only and {qa.kind for qa in only} == {"video_second"}
    assert all(len(draw(seed, max_questions=2).qas) <= 2 for seed in range(5))


def test_an_mp4_shows_the_same_frames_at_the_same_times(tmp_path: Path):
    video = draw(3, "slides")
    path = write_mp4(video, tmp_path / "slides.mp4")
    clip = read_video(path, needs=FrameNeeds(choice=FrameChoice()))
    assert clip.timestamps == pytest.approx(video.timestamps, abs=1e-3)
    for drawn, read in zip(video.frames, clip.frames, strict=True):
        assert np.abs(drawn.astype(int) - read).mean() < 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"templates": ("invoice",)}, "those of videos are slides"),
        ({"font_sizes": (40, 48), "frame_patches": 256}, "too large for 3 lines"),
        ({"widths": (144, 160), "frame_patches": 1024}, "No frame of frame_patches 1024"),
    ],
)
def test_what_cannot_be_drawn(options: dict, words: str):
    with pytest.raises(ConfigError, match=words):
        generate_video(0, GeneratorConfig(level="video", **options))


def test_what_cannot_be_a_configuration():
    for options, words in [
        ({"frames": (2, 8)}, "frames is"),
        ({"frame_patches": 1}, "frame_patches is 1"),
        ({"question_kinds": ("field",)}, "kinds are video_read"),
        ({"level": "film"}, "page, video"),
    ]:
        with pytest.raises(ConfigError, match=words):
            GeneratorConfig(**{"level": "video", **options})
    with pytest.raises(ConfigError, match="draw it with generate_video"):
        generate(0, GeneratorConfig(level="video"))
    with pytest.raises(ConfigError, match="a video is drawn at level 'video'"):
        generate_video(0, GeneratorConfig(level="page"))
