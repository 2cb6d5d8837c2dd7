"""Which frames are chosen, and where a video is taken to cut."""

import numpy as np
import pytest

from latentvlm.data.frame_choice import FrameChoice
from latentvlm.data.scenes import find_scenes, strongest
from latentvlm.errors import ConfigError, InputError
from latentvlm.token_reduction.budget import most_frames, video_tokens
from latentvlm.token_reduction.tubelets import Tubelets

AT_30 = np.arange(300) / 30  # ten seconds


def test_evenly_spread_as_the_released_models_were_served():
    """floor(seconds * fps) frames at np.linspace(0, last, n, dtype=int), at most max_frames."""
    for choice, number in [
        (FrameChoice(fps=2, max_frames=128), 20),
        (FrameChoice(fps=2, max_frames=8), 8),
        (FrameChoice(fps=100, max_frames=1000), 300),
        (FrameChoice(count=7), 7),
        (FrameChoice(fps=0.01), 1),
        (FrameChoice(), 300),
    ]:
        expected = np.linspace(0, 299, number, dtype=int).tolist()
        assert choice.pick(AT_30) == expected
    assert FrameChoice(fps=2).pick([0.0]) == [0]


def test_steps_are_whole_steps_unless_they_are_too_many():
    assert FrameChoice(way="steps", fps=2).pick(AT_30) == list(range(0, 300, 15))
    assert len(FrameChoice(way="steps", fps=2, max_frames=20).pick(AT_30)) == 20
    few = FrameChoice(way="steps", fps=2, max_frames=5).pick(AT_30)
    assert few == np.linspace(0, 299, 5, dtype=int).tolist()


def test_time_counts_and_not_the_number_of_a_frame():
    times = [0, 0.1, 0.2, 0.3, 10, 20, 30, 40]  # four frames at once, then one in ten seconds
    assert FrameChoice(count=5).pick(times) == [0, 4, 5, 6, 7]
    assert FrameChoice(way="steps", fps=0.1).pick(times) == [0, 4, 5, 6, 7]
    assert FrameChoice(count=3).pick(np.array(times) + 100) == [0, 5, 7]


def test_a_token_budget_is_never_passed_and_always_used():
    for rule in [Tubelets(), Tubelets(keeps_aspect=False, frames_per_tubelet=1)]:
        for budget in [256, 300, 1000, 4096]:
            most = most_frames(rule, budget, 360, 640)
            assert video_tokens(rule, most, 360, 640) <= budget
            assert video_tokens(rule, most + 1, 360, 640) > budget
            assert len(FrameChoice(fps=30, token_budget=budget).pick(AT_30, most)) == most
    with pytest.raises(InputError, match="takes 252 visual tokens, more than the budget of 100"):
        most_frames(Tubelets(), 100, 360, 640)


def test_what_is_left_open_is_the_model_s_to_say():
    default = FrameChoice(way="uniform", fps=2, max_frames=128)
    assert FrameChoice().over(default) == default
    assert FrameChoice(max_frames=32).over(default) == FrameChoice(
        way="uniform", fps=2, max_frames=32
    )
    assert FrameChoice(fps=1, way="scene").over(default) == FrameChoice(
        way="scene", fps=1, max_frames=128
    )
    assert FrameChoice(count=300).over(default) == FrameChoice(way="uniform", count=300)
    assert FrameChoice(fps=1).over(FrameChoice(count=9)) == FrameChoice(fps=1)
    assert FrameChoice.of(5) == FrameChoice(count=5)
    assert FrameChoice.of("scene") == FrameChoice(way="scene")
    assert FrameChoice.of(None) == FrameChoice()


def test_every_scene_gets_a_frame_and_long_ones_get_more():
    starts = [0.0, 1.0, 1.2, 6.0, 6.1]
    chosen = FrameChoice(way="scene", count=12).pick_in_scenes(AT_30, starts)
    assert len(chosen) == len(set(chosen)) == 12 and chosen == sorted(chosen)
    each = np.histogram(AT_30[chosen], [*starts, 10.0])[0].tolist()
    assert min(each) == 1 and each[2] > 3 and each[4] > 3
    # as many as there are scenes, though fewer were asked for by rate
    assert len(FrameChoice(way="scene", fps=0.1).pick_in_scenes(AT_30, starts)) == 5
    with pytest.raises(InputError, match="5 scenes, but only 4 frames"):
        FrameChoice(way="scene", count=4).pick_in_scenes(AT_30, starts)


def test_no_scene_is_asked_for_more_frames_than_it_has():
    times = [0.0, 5.0, 10.0, 10.1, 10.2, 10.3]
    chosen = FrameChoice(way="scene", count=6).pick_in_scenes(times, [0.0, 5.0, 10.0])
    assert chosen == [0, 1, 2, 3, 4, 5]


def slides(seed: int, lengths: list[int], noise: float = 0.0, drift: float = 0.0) -> np.ndarray:
    """Thumbnails of pictures of noise, shown for a while each, with grain and a moving camera."""
    rng = np.random.default_rng(seed)
    frames = []
    for length in lengths:
        scene = rng.uniform(0, 255, (6, 8, 3)).repeat(6, 0).repeat(16, 1)
        for idx in range(length):
            moved = np.roll(scene, int(drift * idx), axis=1)
            frames.append(moved[:36, :64] + rng.normal(0, 1, (36, 64, 3)) * noise)
    return np.stack(frames).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(("noise", "drift"), [(0, 0), (3, 0), (2, 1), (0, 2)])
def test_cuts_are_found_among_noise_and_motion(noise: float, drift: float):
    for seed in range(5):
        lengths = [20, 5, 9, 40, 6, 12]
        found = find_scenes(slides(seed, lengths, noise, drift))
        assert [idx for idx, _ in found] == np.cumsum([0, *lengths[:-1]]).tolist()
        assert len(find_scenes(slides(seed, [60], noise, drift))) == 1


def test_a_line_on_a_slide_is_a_scene_and_a_mouse_pointer_is_not():
    page = np.full((40, 36, 64, 3), 250, np.uint8)
    for idx in range(40):
        page[idx, 5 + idx % 20, 7 + idx % 9] = 0  # a pointer of one pixel
    assert len(find_scenes(page)) == 1
    page[25:, 20:22, 6:50] = 40  # a line
    found = find_scenes(page)
    assert [idx for idx, _ in found] == [0, 25]
    more = find_scenes(slides(1, [9, 9, 9, 9]))
    kept = strongest(more, 2)
    assert kept[0] == more[0] and kept[1][1] == max(step for _, step in more[1:])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"way": "random"}, "not by 'random'"),
        ({"count": 0}, "count of frames is 0"),
        ({"max_frames": 2.5}, "max_frames of frames is 2.5"),
        ({"token_budget": True}, "token_budget of frames is True"),
        ({"fps": 0}, "fps of frames is 0"),
        ({"fps": "2"}, "fps of frames is '2'"),
        ({"fps": 2, "count": 8}, "not both"),
    ],
)
def test_what_cannot_be_a_choice(given: dict, words: str):
    with pytest.raises(ConfigError, match=words):
        FrameChoice(**given)


def test_what_cannot_be_frames():
    with pytest.raises(ConfigError, match="number of frames, or one of uniform, steps, scene"):
        FrameChoice.of([1, 2])
