"""Whole small runs: they learn, they log, and a stopped run ends like one that ran on."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from latentvlm.data.processor import Processor
from latentvlm.data.synthetic import GeneratorConfig, generate
from latentvlm.errors import CheckpointError, ConfigError
from latentvlm.vlm.api import load
from latentvlm.vlm.checkpoint import load_model
from latentvlm.vlm.model import VisionLanguageModel
from latentvlm.vlm.sampling import GenerationConfig
from latentvlm.vlm.train.loop import Callbacks, RunReport, train
from latentvlm.vlm.train.progress import Progress
from latentvlm.vlm.train.recipe import Recipe, parse_recipe
from latentvlm.vlm.train.run import average_in, export_recipe, run_recipe, write_model
from latentvlm.vlm.train.setup import make_trainee
from latentvlm.vlm.train.state import checkpoints, load_weights, read_state

LINE = {"level": "line", "font_sizes": [12, 12], "fonts": ["arimo"]}


def stage(task: str, **changes) -> dict:
    rates = {"vision_encoder": 2e-3}
    if task == "answers":
        rates |= {"projector": 2e-3, "language_model": 2e-3}
    return {
        "name": task, "task": task, "data": [{"config": LINE}], "steps": 4,
        "learning_rates": rates, "warmup_steps": 2, "rows": {"tokens": 200, "patches": 200},
        "log_every": 2, "checkpoint_every": 3, **changes,
    }  # fmt: skip


def recipe(folder: Path, *stages: dict, **changes) -> Recipe:
    values = {
        "name": "small", "seed": 3, "preset": "tiny", "output": str(folder), "stages": list(stages),
        "tokenizer": {"vocab_size": 288, "documents": 4},
        "data": {"workers": 0, "documents_per_shard": 16},
    }  # fmt: skip
    return parse_recipe(values | changes)


def go(one: Recipe, **kwargs) -> RunReport:
    return train(one, make_trainee(one), **kwargs)


def last_weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(checkpoints(folder / "checkpoints")[-1] / "weights.safetensors")


def stop_at(step: int, number: int = signal.SIGTERM) -> Callbacks:
    """A signal to ourselves once a checkpoint of that step is written."""

    sent = []

    def kill(_, total_step: int) -> None:
        if total_step == step and not sent:  # the stop writes a checkpoint of that step again
            sent.append(number)
            os.kill(os.getpid(), number)

    return Callbacks(checkpoint=kill)


@pytest.mark.parametrize(("optimizer", "precision"), [("adamw", "float32"), ("muon", "bfloat16")])
def test_a_stopped_run_ends_like_one_that_ran_on(tmp_path, optimizer, precision):
    losses = {"mtp": 0.3, "char": 0.2}
    stages = (
        stage("tower", steps=5, optimizer=optimizer),
        stage("answers", losses=losses, optimizer=optimizer),
    )
    whole = recipe(tmp_path / "whole", *stages, precision=precision)
    assert go(whole).finished
    parts = recipe(tmp_path / "parts", *stages, precision=precision)
    report = go(parts, callbacks=stop_at(3))  # inside the first stage
    assert not report.finished and report.total_step == 3 and not report.interrupted
    before = signal.getsignal(signal.SIGINT)  # ignored, where a shell runs this beside its prompt
    report = go(parts, callbacks=stop_at(8, signal.SIGINT))  # inside the second
    assert not report.finished and report.total_step == 8 and report.interrupted
    assert signal.getsignal(signal.SIGINT) is before
    assert go(parts).total_step == 9
    one, other = last_weights(tmp_path / "whole"), last_weights(tmp_path / "parts")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)

    def logged(folder: str) -> list[tuple]:
        lines = (tmp_path / folder / "log.jsonl").read_text().splitlines()
        entries = [json.loads(line) for line in lines]
        return [(e["total_step"], e["documents"]) for e in entries]

    assert set(logged("parts")) <= set(logged("whole"))
    assert (tmp_path / "parts" / "loss.png").stat().st_size > 1000


@pytest.mark.slow
def test_loaders_in_processes_resume_too(tmp_path):
    data = {"loaders": 2, "documents_per_shard": 4}
    whole = recipe(tmp_path / "whole", stage("tower", steps=5), data=data)
    parts = recipe(tmp_path / "parts", stage("tower", steps=5), data=data)
    assert go(whole).finished
    assert not go(parts, callbacks=stop_at(3)).finished
    assert go(parts).finished
    one, other = last_weights(tmp_path / "whole"), last_weights(tmp_path / "parts")
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert go(recipe(tmp_path, stage("tower", steps=1), data=data | {"loaders": 1})).finished


def test_weights_alone_restart_the_optimizer_gently(tmp_path):
    one = recipe(tmp_path, stage("tower", steps=6), optimizer={"restart_warmup_steps": 4})
    go(one, callbacks=stop_at(3))
    (folder,) = checkpoints(tmp_path / "checkpoints")
    (folder / "optimizer.safetensors").unlink()  # only weights and state travel
    assert go(one).finished
    state = read_state(checkpoints(tmp_path / "checkpoints")[-1])
    assert state["restarted_at"] == 3 and state["total_step"] == 6
    entries = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [e["total_step"] for e in entries] == [2, 4, 6]
    assert entries[1]["lr_factor"] == 0.25


def test_parts_without_a_rate_do_not_move_and_the_others_do(tmp_path):
    rates = {"projector": 1e-3, "language_model": 1e-3}
    one = recipe(tmp_path, stage("answers", learning_rates=rates, steps=3, losses={"mtp": 0.3}))
    before = {name: value.clone() for name, value in make_trainee(one).state_dict().items()}
    go(one)
    after = last_weights(tmp_path)
    moved = {name for name, value in before.items() if not torch.equal(after[name], value)}
    parts = {name.split(".")[1] for name in moved}
    assert parts == {"projector", "language_model"}
    still = {name for name in before if name.split(".")[1] in parts} - moved
    assert all(name.endswith("e_score_correction_bias") for name in still), still


def test_a_tiny_model_learns_a_few_lines(tmp_path):
    """Eight lines again and again: the loss falls far below that of guessing characters."""
    torch.set_num_threads(1)
    rates = dict.fromkeys(("vision_encoder", "projector", "language_model"), 6e-3)
    rows = {"tokens": 360, "patches": 600}
    learning = stage("answers", steps=60, rows=rows, learning_rates=rates, log_every=10,
                     checkpoint_every=60)  # fmt: skip
    data = {"workers": 0, "documents_per_shard": 8, "distinct_shards": 1}
    one = recipe(tmp_path, learning, data=data)
    go(one)
    entries = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert entries[0]["loss"] > 4.5 and entries[-1]["loss"] < 1.5


def test_evaluation_reads_held_out_documents(tmp_path):
    held_out = {"data": {**LINE, "split": "heldout", "fonts": []}, "documents": 6, "every": 2}
    one = recipe(tmp_path, stage("tower", steps=2, evaluation=held_out),
                 stage("answers", steps=2, evaluation=held_out))  # fmt: skip
    callbacks = Callbacks(evaluate=lambda model, stage, step: {"mine": float(model.training)})
    go(one, callbacks=callbacks)
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    scores = [e for e in map(json.loads, lines) if e["kind"] == "evaluation"]
    assert [e["stage"] for e in scores] == ["tower", "answers"]
    assert {"char_accuracy", "line_error", "mine"} <= scores[0].keys() and scores[0]["mine"] == 0
    assert {"token_accuracy", "exact", "exact transcribe"} <= scores[1].keys()


def test_the_model_folder_answers(tmp_path):
    path = tmp_path / "recipe.yaml"
    values = {
        "name": "small", "seed": 1, "preset": "tiny", "output": str(tmp_path / "out"),
        "tokenizer": {"vocab_size": 288, "documents": 4},
        "data": {"workers": 0, "documents_per_shard": 8}, "stages": [stage("answers", steps=1)],
    }  # fmt: skip
    path.write_text(json.dumps(values))
    assert run_recipe(path, device="cpu", show=False).finished
    assert export_recipe(path, tmp_path / "again") == tmp_path / "again"
    for folder in (tmp_path / "out" / "model", tmp_path / "again"):
        model = load_model(folder, dtype=torch.float32)
        weights = last_weights(tmp_path / "out")
        for name, value in model.state_dict().items():
            wanted = weights[f"model.{name}"]
            torch.testing.assert_close(value, wanted, rtol=1e-2, atol=1e-6)  # kept in bfloat16
        document = generate(5, GeneratorConfig(level="line"))
        processor = Processor.from_folder(folder)
        question = [{"type": "image", "image": document.image}, {"type": "text", "text": "Read."}]
        inputs = processor([{"role": "user", "content": question}])
        logits = model(inputs.input_ids, pixel_values=inputs.pixel_values,
                       image_grid_hw=inputs.image_grid_hw)  # fmt: skip
        assert logits.shape == (len(inputs.input_ids), 288)


TOWERS = [
    {"library": "timm", "name": "test_vit"},
    {"library": "radio", "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4,
     "max_img_size": 256, "patch_size": 8},
]  # fmt: skip


@pytest.mark.parametrize(
    ("tower", "optimizer", "tasks"),
    [(TOWERS[0], "muon", ["tower", "answers"]), (TOWERS[1], "adamw", ["answers"])],
)
def test_a_tower_of_ones_own_is_trained_and_answers(tmp_path, tower, optimizer, tasks):
    path = tmp_path / "recipe.yaml"
    values = {
        "name": "small", "seed": 1, "preset": "tiny", "output": str(tmp_path / "out"),
        "tower": tower, "tokenizer": {"vocab_size": 288, "documents": 4},
        "data": {"workers": 0, "documents_per_shard": 8},
        "stages": [
            stage(task, steps=2, log_every=1, optimizer=optimizer, losses={"balance": 1e-2})
            for task in tasks
        ],
    }  # fmt: skip
    path.write_text(json.dumps(values))
    before = make_trainee(parse_recipe(values)).model.vision_encoder.state_dict()
    assert run_recipe(path, device="cpu", show=False).finished
    log = (tmp_path / "out" / "log.jsonl").read_text().splitlines()
    last = [json.loads(line) for line in log if '"train"' in line][-1]
    assert last["balance"] > 0  # the load of the experts, with a weight of its own
    assert last["loss"] == pytest.approx(last["next"] + 1e-2 * last["balance"], rel=1e-4)
    folder = tmp_path / "out" / "model"
    config = json.loads((folder / "config.json").read_text())
    assert config["model_type"] == "latentvlm"
    assert tower.items() <= config["vision_config"].items()
    vlm = load(folder, "cpu", dtype="float32")
    assert isinstance(vlm.model, VisionLanguageModel)
    after = vlm.model.vision_encoder.state_dict()
    moved = [name for name in after if (after[name] - before[name]).abs().max() > 1e-3]
    assert len(moved) > len(after) / 2
    document = generate(5, GeneratorConfig(level="line"))
    answer = vlm.ask("Read.", document.image, generation=GenerationConfig(max_tokens=3))
    assert answer.usage.visual_tokens > 0 and answer.usage.answer_tokens > 0


@pytest.mark.parametrize(("tower", "sentence"), [
    ({"library": "timm", "name": "test_vitt"}, "the recipe's tower: .*near it are test_vit"),
    ({"library": "tim", "name": "x"}, "the recipe's tower names .* timm, open_clip or radio"),
    ({"library": "timm", "name": "convit_tiny"}, "tower convit_tiny .*cannot"),
    ({"library": "radio", "num_attention_heads": 0}, "tower: .*num_attention_heads is 0"),
    ({"library": "timm", "name": "test_vit", "dephts": 1}, "the recipe's tower has .* key dephts"),
])  # fmt: skip
def test_a_tower_that_cannot_be_is_refused_before_anything_starts(tmp_path, tower, sentence):
    path = tmp_path / "recipe.yaml"
    values = {
        "name": "small", "seed": 1, "preset": "tiny", "output": str(tmp_path / "out"),
        "tower": tower, "stages": [stage("answers")],
    }  # fmt: skip
    path.write_text(json.dumps(values))
    with pytest.raises(ConfigError, match=sentence):
        run_recipe(path, device="cpu", show=False)
    assert not (tmp_path / "out").exists()


def test_time_limit(tmp_path, capsys):
    path = tmp_path / "recipe.yaml"
    values = {
        "name": "small", "seed": 1, "preset": "tiny", "output": str(tmp_path / "out"),
        "data": {"workers": 0, "documents_per_shard": 8}, "stages": [stage("tower", log_every=1)],
    }  # fmt: skip
    path.write_text(json.dumps(values))  # JSON is YAML
    assert not run_recipe(path, max_minutes=0, device="cpu").finished
    assert run_recipe(path, device="cpu").finished
    assert "char" in capsys.readouterr().err


def export_folder(one: Recipe, folder: Path) -> Path:
    """The model of a run's newest checkpoint, as a folder."""
    trainee = make_trainee(one)
    load_weights(checkpoints(Path(one.output) / "checkpoints")[-1], trainee)
    write_model(one, trainee.model, folder)
    return folder


def test_parts_of_other_runs(tmp_path):
    go(recipe(tmp_path / "tower", stage("tower", steps=2)))
    go(recipe(tmp_path / "language", stage("answers", steps=2), seed=4))
    start = [
        {"run": str(tmp_path / "tower"), "parts": ["vision_encoder"]},
        {"run": str(tmp_path / "language"), "parts": ["projector", "language_model"]},
    ]
    frozen = stage("answers", steps=1, learning_rates={"projector": 1e-9})
    joined = recipe(tmp_path / "joined", frozen, start=start)
    go(joined)
    own = last_weights(tmp_path / "joined")
    for name, value in own.items():
        if "vision_encoder" in name or "language_model" in name and "score_correction" not in name:
            source = tmp_path / ("tower" if "vision_encoder" in name else "language")
            assert torch.equal(value, last_weights(source)[name]), name
    tokenizer = (tmp_path / "language" / "processor" / "tokenizer.json").read_bytes()
    assert (tmp_path / "joined" / "processor" / "tokenizer.json").read_bytes() == tokenizer
    folder = export_folder(joined, tmp_path / "folder")
    again = recipe(tmp_path / "again", frozen, start=[{"model": str(folder)}])
    go(again)
    assert (tmp_path / "again" / "processor" / "tokenizer.json").read_bytes() == tokenizer
    for name, value in last_weights(tmp_path / "again").items():
        if "vision_encoder" in name:
            torch.testing.assert_close(value, own[name], rtol=1e-2, atol=1e-6)  # kept in bfloat16
    missing = recipe(tmp_path / "other", stage("tower"), start=[{"run": str(tmp_path / "none")}])
    with pytest.raises(CheckpointError, match="holds no checkpoint to start from"):
        go(missing)


def test_the_mean_of_several_runs(tmp_path):
    runs = [tmp_path / name for name in ("first", "second", "third")]
    for seed, folder in enumerate(runs, start=3):
        go(recipe(folder, stage("answers", steps=1), seed=seed))
    trainee = make_trainee(recipe(runs[0], stage("answers", steps=1)))
    load_weights(checkpoints(runs[0] / "checkpoints")[-1], trainee)
    average_in(trainee, runs[1:])
    each = [last_weights(folder) for folder in runs]
    for name, value in trainee.state_dict().items():
        mean = torch.stack([weights[name].double() for weights in each]).mean(0)
        torch.testing.assert_close(value.double(), mean, rtol=1e-5, atol=1e-6)
    other = recipe(tmp_path / "other", stage("answers", steps=1), tokenizer={"vocab_size": 300})
    go(other)
    with pytest.raises(CheckpointError, match="other has no .* of shape"):
        average_in(trainee, [tmp_path / "other"])


def test_checkpoints_that_do_not_fit(tmp_path):
    one = recipe(tmp_path, stage("tower", steps=1))
    go(one)
    other = recipe(tmp_path, stage("tower", steps=2), tokenizer={"vocab_size": 300})
    with pytest.raises(CheckpointError, match="does not fit .*other shapes .*embeddings"):
        go(other)
    renamed = recipe(tmp_path, stage("tower", name="first"))
    with pytest.raises(ConfigError, match="stopped in stage 'tower'.* its stages are first"):
        go(renamed)
    folder = checkpoints(tmp_path / "checkpoints")[-1]
    (folder / "state.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        go(one)
    assert go(one, resume="none", progress=Progress(visible=False)).finished
