"""One benchmark under several settings."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.benchmark_files import picture, put

from latentvlm.app.cli import main
from latentvlm.errors import ConfigError
from latentvlm.eval.report.sweep_picture import is_curve, sweep_figure
from latentvlm.eval.sweep import point_name, read_settings


def test_settings_are_combined_and_wrong_ones_named() -> None:
    points = read_settings(["evs-rate=0,0.5", "model=/a/b,c"])
    assert points == [
        {"evs_rate": 0.0, "model": "/a/b"},
        {"evs_rate": 0.0, "model": "c"},
        {"evs_rate": 0.5, "model": "/a/b"},
        {"evs_rate": 0.5, "model": "c"},
    ]
    assert point_name(points[0]) == "evs-rate=0.0,model=b"
    for given, said in (
        ([], "Say what varies"),
        (["evs-rate"], "is no setting"),
        (["rate=1"], "There is no setting 'rate'; there are model, dtype"),
        (["token-budget=many"], "no number"),
    ):
        with pytest.raises(ConfigError, match=said):
            read_settings(given)


def test_a_sweep_measures_every_point_and_draws_them(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "mine" / "p.png", picture())
    put(tmp_path / "mine" / "questions.csv", "file,question,answer\np.png,Say,Say\n")
    command = ["eval", "sweep", "folder", "--data", str(tmp_path / "mine"), "--json"]
    command += ["--model", str(tiny_folder), "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as stop:
        main([*command, "--vary", "token-budget=1,4", "--vary", "kv-cache=fp8"])
    said = capsys.readouterr()
    assert not stop.value.code, said.err
    found = json.loads(said.out)
    assert [each["name"] for each in found["points"]] == [
        "token-budget=1,kv-cache=fp8",
        "token-budget=4,kv-cache=fp8",
    ]
    tokens = [each["cost"]["visual_tokens"] for each in found["points"]]
    assert 0 < tokens[0] <= 1 < tokens[1] <= 4
    assert all(each["cost"]["time_to_first_token_s"] > 0 for each in found["points"])
    assert json.loads((tmp_path / "out" / "sweep.json").read_text()) == found
    manifest = tmp_path / "out" / "token-budget=1,kv-cache=fp8" / "manifest.json"
    assert json.loads(manifest.read_text())["model"]["kv_cache"] == "fp8"
    with Image.open(tmp_path / "out" / "sweep.png") as drawn:
        assert drawn.size[0] == 1500


def test_the_picture_tells_points_apart_that_fall_together() -> None:
    def point(name: str, tokens: float | None, **settings) -> dict:
        cost = {"visual_tokens": tokens, "time_to_first_token_s": 0.5}
        told = {"name": name, "settings": settings, "cost": cost, "n": 20}
        return {**told, "score": 0.7, "low": 0.6, "high": 0.75}

    names = ("bfloat16", "fp8", "nvfp4")
    found = {
        "benchmark": "folder", "metric": "answer", "profile": "strict",
        "points": [point(f"model={name}", 86.0, model=name) for name in names],
    }  # fmt: skip
    figure = sweep_figure(found)
    (legend,) = figure.legends
    assert [each.get_text() for each in legend.get_texts()] == [f"model={name}" for name in names]
    bars: list[Any] = list(figure.axes[0].containers)
    sizes = [each.lines[0].get_markersize() for each in bars]
    assert sizes == sorted(sizes) and len(set(sizes)) == 3
    assert not is_curve(found["points"])
    rates = [point(f"evs-rate={rate}", None, evs_rate=rate) for rate in (0.0, 0.5)]
    assert is_curve(rates)
    figure = sweep_figure({**found, "points": rates})
    assert "not known" in figure.axes[0].texts[0].get_text() and len(figure.legends) == 1
    assert len(figure.axes[1].lines) > len(figure.axes[1].containers)
