"""Videos at each pruning rate and booklets: measured, told in tables, written into a card."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.responders import FakeResponder
from support.tiny_model import tiny_config, write_tiny_model

import latentvlm
from latentvlm.app.cli import main
from latentvlm.errors import ConfigError, DataError
from latentvlm.eval import long_inputs
from latentvlm.eval.card import put_part
from latentvlm.eval.citations import FEWEST, Looked
from latentvlm.eval.drawn import MANY_FRAMES, load_videos
from latentvlm.eval.long_card import HEADING, long_tables, write_long
from latentvlm.eval.long_inputs import LongConfig, measure_long
from latentvlm.token_reduction.evs import EVSConfig
from latentvlm.vlm.citations import Citations

CONFIG = LongConfig(questions=12, rates=(0.0, 0.75), reuse=None, timed=1, rounds=1, booklets=0)
ABOUT = {"name": "fake"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("omni")
    config = replace(tiny_config(max_position_embeddings=16384), video_token_id=400)
    write_tiny_model(path, config=config)
    return path


@pytest.fixture(scope="module")
def vlm(folder: Path) -> latentvlm.VLM:
    return latentvlm.load(folder, device="cpu")


def is_long(medium) -> bool:
    return len(medium["timestamps"]) >= MANY_FRAMES


def test_half_of_the_videos_are_long_and_the_questions_the_same_every_time() -> None:
    loaded = load_videos(12)
    videos = {each.group: is_long(each.media[0]) for each in loaded.questions}
    assert abs(sum(videos.values()) - len(videos) / 2) <= 1 and len(videos) >= 4
    assert [each.id for each in load_videos(12).questions] == [each.id for each in loaded.questions]


def test_points_lost_are_those_of_the_long_videos(vlm, tmp_path, monkeypatch) -> None:
    """Right everywhere unpruned; pruned, wrong about every long video."""
    golds = {each.id: each.gold.answers[0] for each in load_videos(12).questions}

    def responder(vlm, *, name, arguments, **_):
        pruned = arguments["evs"] != EVSConfig(rate=0.0)
        return FakeResponder(
            lambda asked: "no" if pruned and is_long(asked.media[0]) else golds[asked.id], name=name
        )

    monkeypatch.setattr(long_inputs, "VLMResponder", responder)
    found, how = measure_long(vlm, "fake", tmp_path, CONFIG, about=ABOUT)
    assert how is None and json.loads((tmp_path / "long.json").read_text()) == json.loads(
        json.dumps(found)
    )
    off, pruned = found["videos"]["0%"], found["videos"]["75%"]
    share = sum(is_long(each.media[0]) for each in load_videos(12).questions) / 12
    assert off["all"]["score"] == off["long"]["score"] == 1.0
    assert pruned["long"]["score"] == 0.0 and pruned["lost"]["long"]["score"] == 1.0
    assert pruned["all"]["score"] == pytest.approx(1 - share, abs=1e-5)
    assert pruned["lost"]["all"]["score"] == pytest.approx(share, abs=1e-5)
    times = found["times"]["settings"]
    assert times["0%"]["time_to_first_token_s"] >= times["0%"]["encode_s"] > 0
    table = long_tables(found)
    assert "| off | 100.0% | 100.0% |  |" in table
    assert "| 75% |" in table and "| 100.0 (100.0 to 100.0) |" in table
    assert "0 questions failed" in table and "Booklets" not in table


def test_the_command_measures_and_writes_the_card(folder: Path, tmp_path: Path, capsys) -> None:
    (folder / "README.md").write_text("# Mine\n\nText.\n\n## Limits\n\nMany.\n")
    words = ["eval", "long", "--model", str(folder), "--out", str(tmp_path / "out"), "--json"]
    words += ["--questions", "4", "--booklets", "8", "--rates", "0,0.9", "--timed", "1", "--write"]
    with pytest.raises(SystemExit) as stop:
        main(words)
    said = capsys.readouterr()
    assert not stop.value.code, said.err
    found = json.loads(said.out)
    assert list(found["videos"]) == ["0%", "90%", "90%, reuse 4"]
    off, pruned = found["videos"]["0%"], found["videos"]["90%"]
    assert off["failed"] == pruned["failed"] == 0
    # A tenth, cut to whole tokens; the first of 16 to 18 tubelets is less than that.
    assert 0.098 < pruned["long_visual_tokens"] / off["long_visual_tokens"] < 0.11
    assert found["videos"]["90%, reuse 4"]["visual_tokens"] == pruned["visual_tokens"]
    assert found["booklets"]["kinds"]["all"]["n"] == 8
    assert {"which_page", "count_pages"} <= found["booklets"]["kinds"].keys()
    line = json.loads(
        (tmp_path / "out" / "90" / "responses-model.jsonl").read_text().split("\n")[0]
    )
    (seen,) = line["details"]["frames"]
    (shown,) = line["media"]
    assert seen["indices"] == list(range(len(shown["frames"])))
    assert seen["timestamps"] == pytest.approx(shown["timestamps"])
    assert sum(line["details"]["videos"][0]["kept_per_tubelet"]) == line["details"]["visual_tokens"]
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.index(HEADING) < card.index("## Limits") and "| 90%, reuse 4 |" in card
    assert card.startswith("# Mine\n\nText.\n") and card.endswith("## Limits\n\nMany.\n")
    write_long(folder, found)
    assert (folder / "README.md").read_text(encoding="utf-8") == card


@pytest.mark.parametrize("right", [5, 30])
def test_citations_are_calibrated_only_where_there_are_none_and_answers_enough(
    vlm, tmp_path, monkeypatch, right
) -> None:
    def look(vlm, questions, **_):
        for idx in range(questions):
            shares = torch.full((1, 2, 5), 0.1)
            shares[0, 1, idx % 5] = 0.6  # the second head follows the page
            yield Looked(kind="field", page=idx % 5, is_right=idx < right, shares_LHP=shares)

    monkeypatch.setattr(long_inputs, "look", look)
    monkeypatch.setattr(long_inputs, "_videos", lambda *_, **__: {})
    monkeypatch.setattr(long_inputs, "time_first_tokens", lambda *_: {})
    config = replace(CONFIG, booklets=80)

    def measured():
        found, how = measure_long(vlm, "fake", tmp_path, config, about=ABOUT)
        return found["booklets"]["citations"], how

    cited, how = measured()
    assert (how is None) == (cited is None) == (right < FEWEST)
    assert how is None or how.heads == ((0, 1),)
    known = Citations(heads=((0, 0),), threshold=0.5)
    monkeypatch.setattr(vlm, "limits", replace(vlm.limits, citations=known))
    cited, how = measured()
    assert how is None and cited["right_answers"]["cited"] == 0.0


def test_what_cannot_be_measured_is_said(vlm, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(vlm.processor, "sees_videos", False)
    with pytest.raises(ConfigError, match="sees no videos"):
        measure_long(vlm, "x", tmp_path, CONFIG, about=ABOUT)
    with pytest.raises(ConfigError, match="booklets is -1"):
        LongConfig(booklets=-1)
    with pytest.raises(ConfigError, match="no pruning rate"):
        LongConfig(rates=())
    with pytest.raises(DataError, match="is not there"):
        write_long(tmp_path, {})
    with pytest.raises(DataError, match="needs one line"):
        put_part("<!-- long:begin -->", "long", "x", tmp_path, heading=HEADING)
