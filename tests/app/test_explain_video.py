"""What the model sees of videos, drawn: kept tokens, where the answer looked, the time line."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.browser import opened
from support.clips import number_of, write_clip
from support.tiny_model import tiny_config, write_tiny_model
from support.videos import frames, video

import latentvlm
from latentvlm.app.cli import main
from latentvlm.app.explain.drawing import draw_kept
from latentvlm.app.explain.page_html import draw_html
from latentvlm.app.explain.sheet import draw_sheet
from latentvlm.app.explain.time_line import draw_time_line, ticks
from latentvlm.app.explain.video_panels import evs_text, tubelet_picture, video_facts
from latentvlm.app.explain.video_sheet import MOST_TUBELETS, choose_tubelets
from latentvlm.vlm.explaining import explain

SHORT = latentvlm.GenerationConfig(max_tokens=4, repetition_penalty=1.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("omni")
    write_tiny_model(path, config=replace(tiny_config(), video_token_id=400))
    return path


@pytest.fixture(scope="module")
def vlm(folder: Path) -> latentvlm.VLM:
    return latentvlm.load(folder, device="cpu")


def still(count: int, moving: int) -> dict:
    """The same frame all the time, but for one that is another."""
    one, other = frames(2, 64, 96)
    return {
        "type": "video",
        "frames": [other if n == moving else one for n in range(count)],
        "fps": 2,
    }


def test_what_was_looked_at_lies_on_the_tokens_that_stay(vlm) -> None:
    picture = Image.fromarray(frames(1, 48, 64, seed=3)[0])
    clips = [video(8, 64, 96), {**video(5, 64, 64, seed=1), "evs_rate": 0.5}]
    options = {"generation": SHORT, "evs_rate": 0.75}
    found = explain(vlm, "What?", [clips[0], picture, clips[1]], **options)
    asked = vlm.ask("What?", clips[0], picture, clips[1], **options)
    assert found.answer is not None and found.answer.token_ids == asked.token_ids
    assert [seen.info.kept_per_tubelet for seen in found.videos] == [
        each.kept_per_tubelet for each in asked.usage.videos
    ]
    assert [seen.evs and seen.evs.rate for seen in found.videos] == [0.75, 0.5]
    for seen in found.videos:
        assert seen.looked is not None and seen.info.kept_mask is not None
        assert not seen.info.kept_mask.all() and bool((seen.looked[seen.info.kept_mask] > 0).all())
        assert float(seen.looked[~seen.info.kept_mask].abs().sum()) == 0.0
    maps = [seen.looked for seen in (*found.pages, *found.videos)]
    assert sum(float(each.sum()) for each in maps if each is not None) == pytest.approx(1, abs=1e-5)
    assert draw_sheet(found).height > 500


def test_the_moment_that_changed_is_the_one_that_stays_and_nothing_is_asked(
    vlm, monkeypatch
) -> None:
    monkeypatch.setattr(type(vlm.model.language_model), "forward", None)
    found = explain(vlm, "", [still(12, moving=6)], evs_rate=0.75)
    (seen,) = found.videos
    tubelets, rows, cols = seen.info.shape
    kept = torch.tensor(seen.info.kept_per_tubelet)
    together = seen.frames_per_tubelet
    assert found.answer is None and seen.looked is None and tubelets == 12 // together
    assert int(kept.sum()) == int(tubelets * rows * cols * 0.25)
    # The frame that is another stands out, and so does the one after it.
    changed = {0, 6 // together, 6 // together + 1}
    assert kept[0] == rows * cols and set(kept.nonzero().flatten().tolist()) <= changed
    assert list(seen.frames_of(0)) == list(range(together))
    assert "75% were dropped (EVS: rate 75%)" in " ".join(video_facts(seen))


def test_what_was_dropped_is_grey_and_the_rest_as_it_was() -> None:
    red = Image.new("RGB", (40, 20), (200, 20, 20))
    drawn = np.asarray(draw_kept(red, [[True, False], [False, True]])).astype(int)
    assert drawn[5, 10].tolist() == [200, 20, 20] == drawn[15, 30].tolist()
    for cell in (drawn[5, 30], drawn[15, 10]):
        assert cell.max() - cell.min() < 20 and abs(cell[0] - 200) > 30


def test_bars_of_the_time_line_are_as_high_as_what_stays(vlm) -> None:
    found = explain(vlm, "", [still(12, moving=6)], evs_rate=0.75)
    (seen,) = found.videos
    line = np.asarray(draw_time_line(seen, 800)).astype(int)
    blue = (line[:96] == (36, 108, 214)).all(-1).sum(0)
    begins = [
        round(10 + seen.report.timestamps[seen.frames_of(n)[0]] / seen.report.duration_s * 780)
        for n in range(seen.info.shape[0])
    ]
    most = seen.info.tokens_per_tubelet
    heights = [int(blue[x + 1]) for x in begins]
    for height, kept in zip(heights, seen.info.kept_per_tubelet, strict=True):
        assert abs(height - 90 * kept / most) <= 1.5
    assert ticks(16) == [0, 2, 4, 6, 8, 10, 12, 14, 16] and ticks(0.3)[1] == 0.05
    assert len(ticks(36000)) <= 11


def test_a_long_video_shows_some_moments_in_the_picture_and_all_in_the_page(vlm, tmp_path) -> None:
    found = explain(vlm, "", [video(2 * MOST_TUBELETS + 10, 32, 32)], evs_rate=0.5)
    (seen,) = found.videos
    count = seen.info.shape[0]
    assert count > MOST_TUBELETS
    chosen = choose_tubelets(seen)
    assert len(chosen) == MOST_TUBELETS and chosen[0] == 0 and chosen[-1] == count - 1
    page = tmp_path / "seen.html"
    page.write_text(draw_html(found), encoding="utf-8")
    with opened(page.as_uri()) as tab:
        assert tab.locator("figure img").count() == count
        assert tab.locator(".line a").count() == count and tab.locator(".line i").count() == len(
            seen.frames
        )
        tab.locator(".line a").last.click()
        tab.locator(f"figure#video1-{count}:target").wait_for()


def test_the_command_explains_a_video_file(folder: Path, tmp_path: Path, capsys) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    out = tmp_path / "seen.png"
    words = ["explain", str(clip), "What?", "--model", str(folder), "-o", str(out)]
    with pytest.raises(SystemExit) as exit:
        main([*words, "--evs-rate", "0.5", "--max-frames", "6", "--fps", "3", "--frames", "scene"])
    assert exit.value.code == 0
    assert str(out.with_suffix(".html")) in capsys.readouterr().out
    html = out.with_suffix(".html").read_text(encoding="utf-8")
    assert "6 of 60 frames chosen (scene)" in html and "attention" in html
    with Image.open(out) as drawn:
        assert drawn.width > 900


def test_frames_are_those_of_the_file_and_ways_of_dropping_are_named(vlm, tmp_path) -> None:
    found = explain(vlm, "", [write_clip(tmp_path / "clip.mp4")], frames=4)
    (seen,) = found.videos
    assert [number_of(frame) for frame in seen.frames] == list(seen.report.indices)
    assert tubelet_picture(seen, 0, 1.0).width >= 216
    assert "visual tokens stay." in video_facts(seen)[1]
    assert evs_text(None) == "EVS, to fit the token budget"
    config = latentvlm.EVSConfig(rate=0.5, token_budget=90, threshold=0.1, floor=0.05)
    assert evs_text(config) == "EVS: rate 50%, at most 90 tokens, threshold 0.1, floor 5% of each"
