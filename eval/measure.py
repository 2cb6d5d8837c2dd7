"""One measurement of a model on `latentvlm-docs`: answers, scores, rival and controls on disk."""

import hashlib
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ..errors import ConfigError, DataError
from .controls import control_cases, score_controls
from .documents import BENCHMARK, VERSION, DocumentSample, content_hash, document_samples
from .drawn import documents_loaded, documents_question
from .evaluate import describe, keep_manifest, rescore
from .manifest import make_manifest
from .runner import run
from .samples import Request, Responder, Response
from .scores import calibration, score

SCORES_FILE = "scores.json"
# What is being answered, how many answers are there, and of how many.
Notify = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class MeasureConfig:
    """What to measure.

    Attributes:
        rungs: names of rungs; empty means all.
        limit: the most questions of each rung; None means all.
        controls: whether to ask the three control questions too.
        control_limit: the most questions of each control and rung.
    """

    rungs: tuple[str, ...] = ()
    limit: int | None = None
    controls: bool = False
    control_limit: int = 100


def measure(
    model: Responder | None,
    rival: Responder | None,
    folder: str | Path,
    config: MeasureConfig,
    *,
    about: Mapping[str, Any] | None = None,
    notify: Notify = lambda what, done, total: None,
) -> dict[str, Any]:
    """Asks the benchmark's questions and writes responses and scores into a folder.

    Started again with the same folder, it asks only what has no response yet.

    Args:
        model: what is measured; None measures the rival alone.
        rival: what it is compared with, if anything.
        folder: where `responses-*.jsonl` and `scores.json` go.
        config: what to measure.
        about: what the manifest says of the model, besides its name.
        notify: called for each answer.

    Returns:
        What is in `scores.json`.

    Raises:
        ConfigError: there is nothing to measure, or a rung or limit is wrong.
        DataError: the folder holds responses of another model.
    """
    if model is None and rival is None:
        raise ConfigError("There is neither a model nor a rival to measure.")
    folder = Path(folder)
    samples = document_samples(config.rungs, limit=config.limit)
    requests = [sample.request for sample in samples]
    result: dict[str, Any] = {"benchmark": _describe(samples), "versions": _versions()}
    for who, responder in (("model", model), ("rival", rival)):
        if responder is None:
            continue
        responses = _answer(who, requests, responder, folder, notify, samples)
        result[who] = {"name": responder.name, "scores": score(samples, responses)}
        if who == "model":
            result[who]["calibration"] = calibration(samples, responses)
            if config.controls:
                cases = control_cases(samples, responses, limit=config.control_limit)
                asked = [case.request for case in cases]
                # Which are asked depends on what was right, so the file names the questions.
                key = hashlib.sha256("\n".join(r.id for r in asked).encode()).hexdigest()[:8]
                answers = _answer(f"controls-{key}", asked, responder, folder, notify)
                result[who]["controls"] = score_controls(cases, answers)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, indent=2, ensure_ascii=False) + "\n"
    (folder / SCORES_FILE).write_text(text, encoding="utf-8")
    if model is not None:
        _report(model, samples, folder, config, about or {})
    return result


def _report(
    model: Responder,
    samples: Sequence[DocumentSample],
    folder: Path,
    config: MeasureConfig,
    about: Mapping[str, Any],
) -> None:
    """Manifest, result and report of the model's answers, as of every other benchmark."""
    manifest = make_manifest(
        documents_loaded(samples),
        model={"name": model.name, **about},
        decoding={"way": "greedy", "max_tokens": None, "seed": 0},
        shown={},
        limit=config.limit,
    )
    keep_manifest(folder, manifest)
    try:
        rescore(folder)
    except DataError as error:
        # Answers of an earlier version do not say what is right.
        if "gold" not in str(error):
            raise


def read_scores(path: str | Path) -> dict[str, Any]:
    """What `measure` wrote; a folder means its `scores.json`.

    Raises:
        DataError: there is no such file, or it holds no scores.
    """
    path = Path(path)
    path = path / SCORES_FILE if path.is_dir() else path
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as scores: {error}.") from error
    if not isinstance(result, dict) or "benchmark" not in result:
        raise DataError(f"{path} holds no scores of `latentvlm eval run`.")
    return result


def _answer(
    who: str,
    requests: Sequence[Request],
    responder: Responder,
    folder: Path,
    notify: Notify,
    samples: Sequence[DocumentSample] = (),
) -> dict[str, Response]:
    done = 0
    questions = {sample.id: documents_question(sample) for sample in samples}

    def count(response: Response) -> None:
        nonlocal done
        done += 1
        notify(who, done, len(requests))

    def beside(request: Request) -> dict[str, Any]:
        return describe(questions[request.id], request, folder) if questions else {}

    path = folder / f"responses-{who}.jsonl"
    return run(requests, responder, path, on_response=count, about=beside)


def _describe(samples: Sequence[DocumentSample]) -> dict[str, Any]:
    rungs = {}
    for rung in dict.fromkeys(sample.rung for sample in samples):
        of_rung = [sample for sample in samples if sample.rung == rung]
        rungs[rung] = {
            "questions": len(of_rung),
            "documents": len({sample.seed for sample in of_rung}),
            "hash": content_hash(of_rung),
        }
    return {"name": BENCHMARK, "version": VERSION, "hash": content_hash(samples), "rungs": rungs}


def _versions() -> dict[str, str]:
    return {
        "latentvlm": version("latentvlm"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
    }
