"""A distilled model beside plain export: the same recipe, before and after, against BF16.

Every model reads the same questions of `latentvlm-docs` with their right answers after them. An
answer counts as exact if each of its tokens is the likeliest, as greedy decoding would have it;
KL and agreement are those of the next token of the answers, against the model in BF16.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data.packed_batch import Batch
from ..data.packing import RowLimits
from ..data.processor import Processor
from ..data.processor_files import write_json
from ..data.shards import Record
from ..errors import CheckpointError, ConfigError, DataError, InputError
from ..vlm.checkpoint import load_model
from ..vlm.export.export import export
from ..vlm.export.writer import RECORD_FILE
from ..vlm.loading import read_processor
from ..vlm.model import VisionLanguageModel
from ..vlm.quantize.weight_formats import WeightFormat
from ..vlm.train.answer_scores import AnswerScores, labelled
from ..vlm.train.architecture import start_folder
from ..vlm.train.distill import divergence
from ..vlm.train.distill_settings import Distillation, Quantization
from ..vlm.train.examples import conversation, example_of
from ..vlm.train.input_ranges import InputRanges, inputs_changed, rounding_inputs
from ..vlm.train.precision import Precision
from ..vlm.train.recipe import Recipe
from ..vlm.train.row import rows_of, run_row
from ..vlm.train.setup import make_trainee
from ..vlm.train.state import checkpoints, load_weights
from ..vlm.train.stored import StoredForm
from .card import CARD_FILE, put_part
from .documents import RUNGS, DocumentSample, content_hash, document_samples

DOCUMENT_RUNGS = ("lines", "small")
RESULT = "before-after"
_ROWS = RowLimits(tokens=2048, patches=8192)
Notify = Callable[[str], None]
_HEADING = """## In few bits, before and after distillation

Exported at once, and after quantization-aware distillation from itself (`docs/distillation.md`).
To do it again: `latentvlm distill qad-nvfp4 --card default`."""


@dataclass(frozen=True)
class _Row:
    """Questions of a rung in a packed row, and what the teacher says of their answers."""

    rung: str
    batch: Batch
    taught: Tensor


def compare_exports(
    recipe: Recipe,
    *,
    questions: int = 200,
    prompts: int = 32,
    rungs: tuple[str, ...] = DOCUMENT_RUNGS,
    notify: Notify = lambda line: None,
) -> dict[str, Any]:
    """Export the start and the end of a finished run by its recipe, and measure both.

    The export of the end stays in the run's output as `export`, its proof in it; the result is
    written beside it as `before-after.json` and `.md`.

    Args:
        recipe: its last `distill` stage says which export.
        questions: of each rung.
        prompts: that each export is calibrated on.

    Raises:
        ConfigError: no stage distils for an export, or the run starts with no model folder.
        CheckpointError: the run has not ended yet.
        ExportError: an export is not proven.
    """
    settings, quantize, before = what_is_compared(recipe)
    output = Path(recipe.output)
    if not (output / "model" / "config.json").is_file():
        raise CheckpointError(f"{output} has no model yet; let its training run to the end")
    rows, about = _questions(settings, questions, rungs)
    notify(f"{len(rows)} rows of {about['questions']} questions are read")
    table = quantize.export_recipe()
    with tempfile.TemporaryDirectory(prefix="latentvlm-") as scratch:
        folders = {"before": Path(scratch) / "before", "after": _place(output / "export")}
        sources = {"before": before, "after": output / "model"}
        results: dict[str, Any] = {"bf16": _score(rows, [row.taught for row in rows])}
        for name, folder in folders.items():
            made = export(
                sources[name],
                folder,
                recipe=table,
                layout=quantize.export_layout,
                num_prompts=prompts,
                num_held_out=4,
                num_answers=0,
            )
            notify(f"{name}: exported and proven, {made.proof.bits:.2f} bits a parameter")
            model = _open(folder)
            results[name] = _measure(model, rows) | {"bits": made.proof.bits}
            if quantize.activations:
                ranges, formats = _ranges(recipe, quantize)
                results[f"{name}-inputs"] = _measure(model, rows, ranges, formats)
            notify(f"{name}: measured")
    result = {"recipe": table.name, "layout": quantize.export_layout, "teacher": settings.teacher,
              **about, "training": _training(output), "results": results}  # fmt: skip
    write_json(output / f"{RESULT}.json", result)
    (output / f"{RESULT}.md").write_text(before_after_table(result) + "\n", encoding="utf-8")
    return result


def before_after_table(result: dict[str, Any]) -> str:
    """Markdown of what `compare_exports` found."""
    rungs = list(result["rungs"])
    exact = [f"exact of {count}: {RUNGS[rung].title}" for rung, count in result["rungs"].items()]
    head = ["", "bits", "KL, nats", "top-1 agrees", *exact]
    names = {
        "bf16": "BF16",
        "before": "plain export",
        "after": "after distillation",
        "before-inputs": "plain export, inputs rounded too",
        "after-inputs": "after distillation, inputs rounded too",
    }
    lines = [_line(head), _line(["---"] * len(head))]
    for name, title in names.items():
        if name in result["results"]:
            found = result["results"][name]
            lines.append(
                _line(
                    [
                        title,
                        f"{found['bits']:.2f}" if "bits" in found else "",
                        f"{found['kl']:.4f}",
                        f"{100 * found['agreement']:.1f}%",
                        *(f"{100 * found['exact'][rung]:.1f}%" for rung in rungs),
                    ]
                )
            )
    run = result["training"]
    lines += [
        "",
        f"Recipe {result['recipe']}, layout {result['layout']}; {run['steps']} steps over "
        f"{run['documents']:,} generated documents, {run['seconds'] / 60:.0f} minutes. "
        f"{result['questions']} questions of latentvlm-docs ({result['hash']}), answers read, not "
        "decoded; KL and agreement are those of the answers' tokens, against BF16. With its inputs "
        "rounded too a server with FP4 or FP8 units runs it; this package rounds weights alone.",
    ]
    return "\n".join(lines)


def find_card(folder: str | Path) -> Path:
    """The card of a model.

    Raises:
        DataError: there is none.
    """
    path = Path(folder) / CARD_FILE
    if not path.is_file():
        raise DataError(f"{path} is not there; write the card of scores first.")
    return path


def write_into_card(folder: str | Path, result: dict[str, Any]) -> Path:
    """Writes the table into a model's card.

    Raises:
        DataError: there is no card.
    """
    path = find_card(folder)
    text = path.read_text(encoding="utf-8")
    table = before_after_table(result)
    path.write_text(put_part(text, "distillation", table, path, heading=_HEADING), encoding="utf-8")
    return path


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def what_is_compared(recipe: Recipe) -> tuple[Distillation, Quantization, Path]:
    """The stage's settings, its export's, and the folder that is before.

    Raises:
        ConfigError: no stage distils for an export, or the run starts with no model folder.
    """
    for stage in reversed(recipe.stages):
        if stage.distill is not None and stage.distill.quantize is not None:
            break
    else:
        raise ConfigError(f"recipe {recipe.name} has no distill stage with quantize to compare")
    before = start_folder(recipe)
    if before is None:
        raise ConfigError("before and after need preset: start, for what is before is that model")
    return stage.distill, stage.distill.quantize, before


def _open(folder: Path) -> VisionLanguageModel:
    model = load_model(folder, dtype=torch.float32)
    assert isinstance(model, VisionLanguageModel)
    return model


def _place(folder: Path) -> Path:
    """Where the export goes; an older one makes room.

    Raises:
        InputError: something else is there.
    """
    if (folder / RECORD_FILE).is_file():
        shutil.rmtree(folder)
    elif folder.exists():
        raise InputError(f"{folder} is there and no export of ours; move it away.")
    return folder


@torch.no_grad()
def _questions(
    settings: Distillation, count: int, rungs: tuple[str, ...]
) -> tuple[list[_Row], dict[str, Any]]:
    """Rows of the benchmark's questions with their answers, and what the teacher says of them."""
    teacher = _open(settings.folder)
    processor, reason = read_processor(settings.folder, teacher.config)
    if processor is None:
        raise CheckpointError(reason)
    samples = document_samples(rungs, limit=count)
    rows = []
    for rung in rungs:
        own = [sample for sample in samples if sample.rung == rung]
        for batch in rows_of(_examples(own, processor), _ROWS):
            _, hidden, row, _ = run_row(teacher, batch, Precision(), tower_gradient=False)
            taught = teacher.language_model.logits(hidden[labelled(row)])
            rows.append(_Row(rung, batch, taught))
    counts = {rung: sum(sample.rung == rung for sample in samples) for rung in rungs}
    about = {"questions": len(samples), "rungs": counts, "hash": content_hash(samples)}
    return rows, about


def _examples(samples: Iterable[DocumentSample], processor: Processor) -> Iterator[Any]:
    for sample in samples:
        record = Record(key=sample.id, image=sample.request.image)
        asked = [(sample.kind, sample.request.question, sample.golds[0])]
        inputs = processor.encode_conversation(conversation(record, asked))
        example = example_of(inputs, patch_size=processor.transform.config.patch_size)
        yield replace(example, kinds=(sample.kind,))


@torch.no_grad()
def _measure(
    model: VisionLanguageModel,
    rows: list[_Row],
    ranges: InputRanges | None = None,
    formats: dict[str, WeightFormat] | None = None,
) -> dict[str, Any]:
    """`_score` of a model, its inputs rounded too if there are ranges for them."""

    def answers(batch: Batch) -> Tensor:
        _, hidden, row, _ = run_row(model, batch, Precision(), tower_gradient=False)
        return model.language_model.logits(hidden[labelled(row)])

    around = nullcontext()
    if ranges is not None and formats is not None:
        around = inputs_changed(model, list(formats), rounding_inputs(ranges, formats))
    with around:
        return _score(rows, [answers(row.batch) for row in rows])


def _score(rows: list[_Row], said: list[Tensor]) -> dict[str, Any]:
    """KL and agreement over all rows, exact answers of each rung."""
    scores = {row.rung: AnswerScores() for row in rows}
    total, agreed, count = 0.0, 0, 0
    for row, logits in zip(rows, said, strict=True):
        scores[row.rung].add(logits, row.batch)
        kl, agree = divergence(logits, row.taught, 1.0)
        total, agreed = total + float(kl.sum()), agreed + int(agree.sum())
        count += len(kl)
    return {
        "kl": total / count,
        "agreement": agreed / count,
        "tokens": count,
        "exact": {rung: each.report()["exact"] for rung, each in scores.items()},
    }


def _ranges(recipe: Recipe, quantize: Quantization) -> tuple[InputRanges, dict[str, WeightFormat]]:
    """The ranges of inputs that the run was trained with, and the weights they belong to."""
    trainee = make_trainee(recipe)
    load_weights(checkpoints(Path(recipe.output) / "checkpoints")[-1], trainee)
    assert trainee.ranges is not None
    stored = StoredForm(trainee.model, quantize.export_recipe(), quantize.export_layout)
    return trainee.ranges, dict(stored.formats)


def _training(output: Path) -> dict[str, Any]:
    """How long the run was, from its log."""
    lines = (output / "log.jsonl").read_text(encoding="utf-8").splitlines()
    last = [entry for entry in map(json.loads, lines) if entry["kind"] == "train"][-1]
    return {
        "steps": last["total_step"],
        "documents": last["documents"],
        "seconds": last["seconds"],
    }
