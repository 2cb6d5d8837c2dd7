"""The options of EVS on the command line."""

import json
import sys
from pathlib import Path

import pytest
from support.clips import numbered, write_clip

from latentvlm.app.cli import main
from latentvlm.app.evs_options import EVSOptions
from latentvlm.token_reduction.evs import EVSConfig
from latentvlm.token_reduction.reuse import ReuseConfig


def test_what_is_given_becomes_one_configuration():
    assert EVSOptions().arguments() == {"token_budget": None}
    given = EVSOptions(evs_rate=0.75, token_budget=4096, evs_threshold=0.1, evs_floor=0.05)
    wanted = EVSConfig(rate=0.75, threshold=0.1, floor=0.05)
    assert given.arguments() == {"evs": wanted, "token_budget": 4096}
    assert EVSOptions(reuse=4).arguments()["reuse"] == ReuseConfig(threshold=4)


def test_counts_before_and_after_are_in_the_json(
    tiny_folder: Path, picture: Path, capsys: pytest.CaptureFixture
):
    asked = ["ask", str(picture), "What is the total?", "--model", str(tiny_folder)]
    with pytest.raises(SystemExit) as exit:
        main([*asked, "--evs-rate", "0.75", "--token-budget", "4096", "--json"])
    assert exit.value.code in (0, None)
    usage = json.loads(capsys.readouterr().out)["usage"]
    # a picture is no video: all of it stays
    assert usage["visual_tokens_before"] == usage["visual_tokens"] == 24
    with pytest.raises(SystemExit) as exit:
        main([*asked, "--evs-rate", "1.5"])
    told = capsys.readouterr()
    assert exit.value.code == 2 and "EVS rate is 1.5" in told.err, sys.stderr


def test_a_video_file_is_pruned(tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    still = [numbered(3)] * 20 + [numbered(200)] * 20  # a slide, and another
    clip = write_clip(tmp_path / "slides.mp4", still, fps=5)
    asked = ["ask", str(clip), "What is it?", "--model", str(tiny_folder), "--max-tokens", "2"]
    frames = ["--fps", "1", "--max-frames", "8"]

    def usage(*options: str) -> dict:
        with pytest.raises(SystemExit) as exit:
            main([*asked, *frames, *options, "--json"])
        assert exit.value.code in (0, None)
        return json.loads(capsys.readouterr().out)["usage"]

    whole = usage()
    pruned = usage("--evs-rate", "0.5", "--reuse", "8")
    assert whole["visual_tokens"] == whole["visual_tokens_before"] == pruned["visual_tokens_before"]
    assert pruned["visual_tokens"] * 2 == whole["visual_tokens"]
    (video,) = pruned["videos"]
    assert len(video["kept_per_tubelet"]) == 4 == len(video["timestamps"])
    assert video["patches_encoded"] < video["patches"] == whole["videos"][0]["patches_encoded"]
    # the tubelet where the other slide begins keeps more than the one after it
    changed = max(range(1, 4), key=lambda at: video["kept_per_tubelet"][at])
    assert video["kept_per_tubelet"][0] == whole["visual_tokens"] // 4 and changed == 2
    assert usage("--token-budget", "150")["visual_tokens"] <= 150
