"""Distillation runs: they come nearer to their teacher, resume exactly, and end in an export."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from support.tiny_model import tiny_config, write_tiny_model

from latentvlm.data.tokenizer import train_tokenizer
from latentvlm.errors import CheckpointError, ConfigError
from latentvlm.vlm.checkpoint import load_model, save_model
from latentvlm.vlm.export.export import export
from latentvlm.vlm.train.distill import divergence
from latentvlm.vlm.train.loop import Callbacks
from latentvlm.vlm.train.recipe import parse_recipe
from latentvlm.vlm.train.run import run_recipe
from latentvlm.vlm.train.state import checkpoints

CONFIG = tiny_config(moe_intermediate_size=32)
LINE = {"level": "line", "font_sizes": [12, 12], "fonts": ["arimo"]}
QUANTIZE = {"recipe": "nano-vl-nvfp4", "calibration": 4}


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher") / "model"
    write_tiny_model(folder, config=CONFIG, dtype=torch.bfloat16)
    return folder


def values(folder: Path, teacher: Path, distill: dict[str, Any], **changes) -> dict[str, Any]:
    held_out = {"data": {**LINE, "split": "heldout", "fonts": []}, "documents": 4, "every": 100}
    stage = {
        "name": "distill", "task": "distill", "distill": {"teacher": str(teacher), **distill},
        "data": [{"config": LINE}], "steps": 4, "learning_rates": {"language_model": 2e-3},
        "warmup_steps": 2, "rows": {"tokens": 200, "patches": 400}, "log_every": 2,
        "checkpoint_every": 3, "evaluation": held_out, **changes,
    }  # fmt: skip
    return {
        "name": "small", "seed": 3, "preset": "start", "output": str(folder), "stages": [stage],
        "start": [{"model": str(teacher)}], "data": {"workers": 0, "documents_per_shard": 8},
        "optimizer": {"weight_decay": 0.0},
    }  # fmt: skip


def run(path: Path, recipe: dict[str, Any], **kwargs):
    path.mkdir(exist_ok=True)
    (path / "recipe.yaml").write_text(json.dumps(recipe))
    return run_recipe(path / "recipe.yaml", device="cpu", show=False, **kwargs)


def log(folder: Path, kind: str) -> list[dict[str, Any]]:
    entries = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [entry for entry in entries if entry["kind"] == kind]


def test_a_rounded_student_comes_nearer_and_what_it_is_exported_as_is_proven(
    tmp_path: Path, teacher: Path
) -> None:
    quantized = {"quantize": QUANTIZE, "next_token": 0.01}
    rates = {"language_model": 1e-3}
    recipe = values(
        tmp_path / "run", teacher, quantized, steps=16, log_every=2, learning_rates=rates
    )
    recipe["data"] |= {"documents_per_shard": 2, "distinct_shards": 1}  # the same two every time
    assert run(tmp_path, recipe).finished
    trained, held_out = log(tmp_path / "run", "train"), log(tmp_path / "run", "evaluation")
    assert trained[-1]["kl"] < 0.7 * trained[0]["kl"]
    assert {"agreement", "exact", "loss"} <= held_out[-1].keys() and "next" in trained[-1]
    assert 0 < trained[-1]["agreement"] <= 1
    model = tmp_path / "run" / "model"
    for name in ("tokenizer.json", "processor_config.json"):
        assert (model / name).read_bytes() == (teacher / name).read_bytes()
    before, after = load_model(teacher).state_dict(), load_model(model).state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved and {name.split(".")[0] for name in moved} == {"language_model"}
    assert not any("correction_bias" in name or ".mtp." in name for name in moved)
    made = export(model, tmp_path / "out", recipe="nano-vl-nvfp4",
                  num_prompts=2, num_held_out=1, num_answers=0)  # fmt: skip
    assert made.proof.holds


@pytest.mark.parametrize("activations", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_stopped_run_ends_like_one_that_ran_on(
    tmp_path: Path, teacher: Path, activations: bool
) -> None:
    import os
    import signal

    def kill(_, total_step: int) -> None:
        if total_step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    quantized = {"quantize": {**QUANTIZE, "activations": activations}, "positions": "all"}
    weights = []
    for name in ("whole", "parts"):
        recipe = values(tmp_path / name / "run", teacher, quantized)
        if name == "parts":
            stopped = run(tmp_path / name, recipe, callbacks=Callbacks(checkpoint=kill))
            assert not stopped.finished and stopped.total_step == 3
        assert run(tmp_path / name, recipe).finished
        last = checkpoints(tmp_path / name / "run" / "checkpoints")[-1]
        weights.append(load_file(last / "weights.safetensors"))
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert bool(weights[0]["ranges.largest"].any() if activations else True)
    assert ("ranges.largest" in weights[0]) == activations


def test_a_smaller_student_learns_from_a_larger_teacher(tmp_path: Path, teacher: Path) -> None:
    recipe = values(tmp_path / "run", teacher, {"temperature": 2.0}, steps=8, log_every=2)
    recipe |= {"preset": "tiny", "start": [], "tokenizer": {"folder": str(teacher)}}
    recipe["tokenizer"]["vocab_size"] = 320
    rates = dict.fromkeys(("vision_encoder", "projector", "language_model"), 5e-3)
    recipe["stages"][0]["learning_rates"] = rates
    assert run(tmp_path, recipe).finished
    entries = log(tmp_path / "run", "train")
    assert entries[-1]["kl"] < entries[0]["kl"]


def test_divergence_is_that_of_torch() -> None:
    draw = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 5, 7, generator=draw)
    kl, agree = divergence(student, teacher, 2.0)
    theirs = torch.nn.functional.kl_div(
        (student / 2).log_softmax(-1), (teacher / 2).softmax(-1), reduction="none"
    )
    assert torch.allclose(kl, 4 * theirs.sum(-1), atol=1e-6)
    assert agree.tolist() == (student.argmax(-1) == teacher.argmax(-1)).tolist()
    assert float(divergence(teacher, teacher, 1.0)[0].abs().max()) < 1e-6


def test_teachers_that_do_not_fit_are_told(tmp_path: Path, teacher: Path) -> None:
    plain: dict[str, Any] = {}

    def refused(recipe: dict[str, Any], error: type[Exception], words: str) -> None:
        with pytest.raises(error, match=words):
            run(tmp_path, recipe)
        assert not (tmp_path / "run").exists()

    nowhere = values(tmp_path / "run", tmp_path / "nowhere", plain)
    nowhere["start"] = [{"model": str(teacher)}]
    refused(nowhere, CheckpointError, "There is no teacher .*nowhere")

    def beside(name: str, config) -> Path:
        write_tiny_model(tmp_path / name, config=config, dtype=torch.bfloat16)
        return tmp_path / name

    def taught_by(folder: Path) -> dict[str, Any]:
        return values(tmp_path / "run", folder, plain) | {"start": [{"model": str(teacher)}]}

    larger = beside("larger", tiny_config(moe_intermediate_size=32, vocab_size=352))
    refused(taught_by(larger), ConfigError, "vocabulary of 352 and the student one of 320")
    other = beside("other", CONFIG)
    train_tokenizer(["Quite other words, zzz qqq."] * 3, vocab_size=300, folder=other)
    refused(taught_by(other), ConfigError, "another tokenizer than the student")
    patches = beside("patches", replace(CONFIG, vision=replace(CONFIG.vision, patch_size=16)))
    refused(taught_by(patches), ConfigError, "patch_size 16 and the student 8")
    text = tmp_path / "text"
    save_model(load_model(teacher).language_model, text)  # type: ignore[arg-type]
    refused(taught_by(text), ConfigError, "has no tower")
    dense = beside("dense", tiny_config(hybrid_override_pattern="M*-"))
    recipe = values(tmp_path / "run", dense, {"quantize": {"recipe": "experts-int8"}})
    refused(recipe, ConfigError, "has no such layer; it has")
    uneven = beside("uneven", tiny_config(moe_intermediate_size=24))
    recipe = values(tmp_path / "run", uneven, {"quantize": {"recipe": "super-nvfp4"}})
    refused(recipe, ConfigError, "no multiple of 16")
    recipe = taught_by(teacher) | {"start": []}
    refused(recipe, ConfigError, "preset is start, but no model in start")


@pytest.mark.parametrize(
    ("distill", "changes", "words"),
    [
        ({"quantize": {"recipe": "super-nvpf4"}}, {}, "did you mean 'super-nvfp4'"),
        ({"quantize": {"recipe": "auto"}}, {}, "auto is a search"),
        ({"quantize": {"recipe": "nano-fp8", "layout": "gguf"}}, {}, "layout is 'gguf'"),
        ({"temperature": 0}, {}, "temperature must be above 0"),
        ({}, {"losses": {"mtp": 0.1}}, "of losses it takes short_answers"),
        ({}, {"task": "answers"}, "belong together"),
    ],
)
def test_settings_are_checked(distill, changes, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_recipe(values(Path("run"), Path("teacher"), distill, **changes))
