"""Videos on the command line."""

import json
from pathlib import Path

import pytest
from support.clips import write_clip

from latentvlm.app.cli import main
from latentvlm.app.frame_options import FrameOptions
from latentvlm.data.frame_choice import FrameChoice
from latentvlm.data.media.clip import VideoLimits
from latentvlm.errors import ConfigError


def test_what_is_given_becomes_one_choice():
    assert FrameOptions().arguments() == {}
    given = FrameOptions(frames="scene", fps=2, max_frames=32, frame_tokens=4096)
    wanted = FrameChoice(way="scene", fps=2, max_frames=32, token_budget=4096)
    assert given.arguments() == {"frames": wanted}


def test_limits_of_reading_are_given_by_name(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    limits = FrameOptions(video_limit=["total-s=9", "max_frames = 4"]).arguments()["video_limits"]
    assert limits == VideoLimits(total_s=9.0, max_frames=4)
    for given, said in (
        (["speed=4"], "There is no limit 'speed' of videos: max-bytes"),
        (["max-frames=4.5"], "'max-frames=4.5'; write a whole number, such as max-frames=200"),
        (["total-s"], "'total-s'; write a number"),
        (["total-s=0"], "VideoLimits.total_s is 0.0 but must be a number above 0"),
    ):
        with pytest.raises(ConfigError, match=said):
            FrameOptions(video_limit=given).arguments()
    clip = write_clip(tmp_path / "clip.mp4")
    asked = ["ask", str(clip), "What is it?", "--model", str(tiny_folder), "--max-tokens", "2"]
    with pytest.raises(SystemExit) as exit:
        main([*asked, "--video-limit", "max-duration-s=1"])
    said = capsys.readouterr().err
    assert exit.value.code == 2 and "lasts 2 seconds, more than the 1 accepted" in said


def test_the_frames_seen_are_in_the_json(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    clip = write_clip(tmp_path / "clip.mp4")
    asked = ["ask", str(clip), "What is it?", "--model", str(tiny_folder), "--max-tokens", "2"]
    with pytest.raises(SystemExit) as exit:
        main([*asked, "--fps", "2", "--max-frames", "3", "--json"])
    assert exit.value.code in (0, None)
    answer = json.loads(capsys.readouterr().out)
    assert answer["frames"][0]["indices"] == [0, 29, 59]
    assert answer["frames"][0]["source"] == str(clip) and answer["usage"]["visual_tokens"] > 0
    with pytest.raises(SystemExit) as exit:
        main([*asked, "--frames", "random"])
    assert exit.value.code == 2 and "not by 'random'" in capsys.readouterr().err
