"""What videos cost: the measuring, on a model and clips of next to no size."""

import json
from dataclasses import replace

import numpy as np
import pytest

from latentvlm.app.cli import main
from latentvlm.app.video_report import show_video_report
from latentvlm.app.vision_report import show_vision_report
from latentvlm.data.media import open_media
from latentvlm.errors import BackendError
from latentvlm.eval import video_speed, vision_speed
from latentvlm.eval.drawn_pdf import text_pdf
from latentvlm.eval.moving_pictures import CLIPS, SLIDE_FRAMES
from latentvlm.eval.reuse_quality import WAYS, measure_reuse
from latentvlm.eval.video_speed import (
    SIDES,
    VideoSpeedConfig,
    measure_videos,
    peak_of_video,
    random_vlm,
)
from latentvlm.eval.vision_speed import QUICK, VisionSpeedConfig, measure_vision, peak_of_pdf

CLIP = VideoSpeedConfig(preset="tiny", frames=32, size=(128, 128), patches=256)


def test_clips_are_what_they_are_called():
    screen, shown, panned = (CLIPS[name](10, 96, 160) for name in CLIPS)
    assert all(frame.shape == (96, 160, 3) for frame in (*screen, *shown, *panned))
    share = [np.mean(a != b) for a, b in zip(screen, screen[1:], strict=False)]
    assert all(0 < each < 0.05 for each in share)
    same = [np.array_equal(a, b) for a, b in zip(shown, shown[1:], strict=False)]
    assert same == [at != SLIDE_FRAMES - 1 for at in range(9)]
    assert min(np.mean(a != b) for a, b in zip(panned, panned[1:], strict=False)) > 0.8


def test_reuse_pays_on_still_clips_and_not_on_a_camera():
    figures = measure_reuse(random_vlm("tiny"), frames=10, size=(96, 160), patches=240, repeats=1)
    found = {(each.clip, each.way): each for each in figures}
    assert len(found) == len(CLIPS) * len(WAYS)
    still = found["slides", "memory, 0 levels"]
    assert still.encoded == pytest.approx(0.4) and still.feature_error < 1e-5 and still.same_token
    typed = found["screen recording", "memory, 0 levels"]
    ring = found["screen recording", "ring of 2, 8 levels"]
    assert 0.25 < typed.encoded < 0.8 and 0 < typed.changed_error < ring.changed_error
    panned = found["camera", "memory, 8 levels"]
    assert panned.encoded == 1.0 and panned.feature_error < 1e-5
    assert all(each.time_ratio > 0 for each in figures)


def test_a_quick_run_from_the_command_line(capsys: pytest.CaptureFixture[str]):
    asked = ["bench", "--video", "--quick", "--preset", "tiny", "--repeats", "1", "--frames", "4"]
    with pytest.raises(SystemExit) as done:
        main([*asked, "--json"])
    told = capsys.readouterr()
    assert done.value.code in (0, None), told.err
    report = json.loads(told.out)["video"]
    whole, pruned, theirs = report["figures"]
    assert [each["side"] for each in report["figures"]] == ["latentvlm"] * 2 + ["transformers"]
    assert whole["tokens"] == theirs["tokens"] > pruned["tokens"] and pruned["rate"] == 0.75
    for each in report["figures"]:
        steps = ("decode_s", "prepare_s", "encode_s", "prefill_s")
        assert each["first_token_s"] == pytest.approx(sum(each[step] for step in steps))
        assert each["prefill_s"] > 0 and (each["decode_s"] > 0) == (each["side"] == "latentvlm")
    with pytest.raises(SystemExit) as done:
        main(["bench", "--video", "--preset", "bench-s"])
    assert done.value.code == 2 and "bench-s is a language model" in capsys.readouterr().err
    with pytest.raises(SystemExit) as done:
        main(["bench", "--frames", "4"])
    assert done.value.code == 2 and "give both" in capsys.readouterr().err


def test_the_peak_is_what_encoding_and_reading_take():
    """In a process of its own: this one may have memory to spare from before."""
    # 16 tubelets of 256 patches, each with some hundred float32 numbers at a time
    assert 2**19 < peak_of_video(CLIP, 0.9) < 2**30


@pytest.mark.slow
def test_the_peak_of_the_peer_is_taken():
    assert 2**19 < peak_of_video(CLIP, 0.0, SIDES[1]) < 2**30
    config = VisionSpeedConfig(preset="tiny", pages=3, page_patches=256)
    assert 2**16 < peak_of_pdf(config, SIDES[1]) < 2**30


def test_a_peer_that_runs_out_of_memory_is_said_to(capsys, monkeypatch: pytest.MonkeyPatch):
    def peak(config, *given):
        if "transformers" in given:
            raise BackendError("Measuring failed: out of memory")
        return 5_000_000

    monkeypatch.setattr(video_speed, "peak_of_video", peak)
    monkeypatch.setattr(vision_speed, "peak_of_pdf", peak)
    size = replace(video_speed.QUICK, preset="tiny", frames=4, reuse_frames=0)
    show_video_report(measure_videos(replace(size, memory_rates=(0.0, 0.75)), print))
    show_vision_report(measure_vision(replace(QUICK, preset="tiny", memory=True), print))
    told = capsys.readouterr()
    said = "Peak memory beyond weights and patches"
    assert f"{said}, latentvlm at rate 0.75: 5 MB\n" in told.out
    assert f"{said}, transformers at rate 0.0: could not be measured\n" in told.out
    assert f"{said}, latentvlm: 5 MB.\n" in told.out
    assert f"{said}, transformers: could not be measured.\n" in told.out
    assert told.out.count("\nMeasuring failed: out of memory\n") == 2


def test_pictures_and_a_pdf_from_the_command_line(capsys: pytest.CaptureFixture[str]):
    asked = ["bench", "--vision", "--quick", "--preset", "tiny"]
    with pytest.raises(SystemExit) as done:
        main([*asked, "--json"])
    told = capsys.readouterr()
    assert done.value.code in (0, None), told.err
    report = json.loads(told.out)["vision"]
    rates = {each["what"]: each["sides"] for each in report["figures"]}
    for what, units in (
        ("picture of 128 px, encoded", 1),
        ("8 pictures of 64 px, encoded together", 8),
        ("8 pictures of 64 px, encoded one by one", 8),
    ):
        assert all(0 < units / rate < 60 for rate in rates[what].values()), what
    together, alone = (rates[f"8 pictures of 64 px, encoded {how}"]["latentvlm"]
                       for how in ("together", "one by one"))  # fmt: skip
    assert report["packed_ratio"] == pytest.approx(together / alone)
    pages = [3 / rates[f"PDF, {step}"]["latentvlm"] for step in ("drawn", "prepared", "encoded")]
    first = rates["PDF of 3 pages, first token"]["latentvlm"]
    assert first == pytest.approx(sum(pages) + rates["PDF, prefill"]["latentvlm"])
    # 3 pages of at most 16 visual tokens, each between two ids, and a question
    assert 3 * (4 + 2) + 32 < report["pdf_tokens"] <= 3 * (16 + 2) + 32
    with pytest.raises(SystemExit) as done:
        main(["bench", "--vision", "--load"])
    assert done.value.code == 2 and "leave out --prompt-length" in capsys.readouterr().err


def test_a_pdf_of_text_is_a_pdf_of_text_and_its_peak_is_taken():
    pages = open_media(text_pdf(3), text_layer=True)
    assert [page.number for page in pages] == [1, 2, 3]
    assert [f"{number}.46" in (page.text or "") for number, page in enumerate(pages, 1)] == [
        True
    ] * 3
    ink = [np.mean(np.asarray(page.image) < 128) for page in pages]
    assert all(0.01 < share < 0.5 for share in ink)
    config = VisionSpeedConfig(preset="tiny", pages=3, page_patches=256)
    assert 2**16 < peak_of_pdf(config) < 2**30
