"""Questions asked while a model is trained: in the log, and without a trace in the weights."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from support.benchmark_files import picture, put

from latentvlm.eval.benchmarks import BENCHMARKS, load_benchmark
from latentvlm.eval.during_training import TrainingQuestions
from latentvlm.vlm.train.log import RunLog, training_curves
from latentvlm.vlm.train.loop import Callbacks, train
from latentvlm.vlm.train.recipe import Recipe, parse_recipe
from latentvlm.vlm.train.setup import make_trainee
from latentvlm.vlm.train.state import checkpoints

LINE = {"level": "line", "font_sizes": [12, 12], "fonts": ["arimo"]}


def recipe(folder: Path) -> Recipe:
    rates = {"vision_encoder": 2e-3, "projector": 2e-3, "language_model": 2e-3}
    stage = {
        "name": "answers", "task": "answers", "data": [{"config": LINE}], "steps": 2,
        "learning_rates": rates, "warmup_steps": 1, "rows": {"tokens": 200, "patches": 200},
        "log_every": 1, "checkpoint_every": 2,
        "evaluation": {"data": LINE, "documents": 2, "every": 1},
    }  # fmt: skip
    values = {
        "name": "small", "seed": 3, "preset": "tiny", "output": str(folder), "stages": [stage],
        "tokenizer": {"vocab_size": 288, "documents": 4},
        "data": {"workers": 0, "documents_per_shard": 8},
    }  # fmt: skip
    return parse_recipe(values)


def test_questions_are_asked_and_leave_no_trace(tmp_path: Path) -> None:
    put(tmp_path / "mine" / "p.png", picture())
    rows = "file,question,answer\np.png,Say,Say\np.png,Who?,Me\n"
    put(tmp_path / "mine" / "questions.csv", rows)
    loaded = load_benchmark(BENCHMARKS["folder"], tmp_path / "mine")
    weights = []
    for name in ("asked", "alone"):
        one = recipe(tmp_path / name)
        asks = Callbacks(evaluate=TrainingQuestions(one, loaded)) if name == "asked" else None
        train(one, make_trainee(one), callbacks=asks)
        newest = checkpoints(tmp_path / name / "checkpoints")[-1]
        weights.append(load_file(newest / "weights.safetensors"))
    assert all(torch.equal(tensor, weights[1][key]) for key, tensor in weights[0].items())
    lines = (tmp_path / "asked" / "log.jsonl").read_text().splitlines()
    asked = [each for each in map(json.loads, lines) if each["kind"] == "evaluation"]
    assert len(asked) == 2
    assert all(each["asked"] == 0.0 and each["asked_failed"] == 0.0 for each in asked)
    assert {"asked_cut_off", "token_accuracy"} <= asked[0].keys()
    assert all(each["asked_low"] <= each["asked"] <= each["asked_high"] for each in asked)
    drawn = training_curves(RunLog(tmp_path / "asked").entries())
    panels = {axes.get_ylabel(): axes for axes in drawn.axes}
    curves = {line.get_label(): line for line in panels["questions asked"].lines}
    assert list(curves) == ["score", "cut off", "failed"]
    assert list(curves["score"].get_xdata()) == [1, 2]
    assert "asked" not in {line.get_label() for line in panels["held-out scores"].lines}
    assert (tmp_path / "asked" / "loss.png").stat().st_size > 10_000
    plain = training_curves(RunLog(tmp_path / "alone").entries())
    assert "questions asked" not in {axes.get_ylabel() for axes in plain.axes}
