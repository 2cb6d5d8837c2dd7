"""From questions and a model to a folder with answers, scores and a report.

manifest.json           what it takes to get the score again
responses-model.jsonl   a line for each answer, with the question and its gold
result.json             the scores
report.html, report.md  the same for people
pictures/               pages that were drawn for the run
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from ..errors import DataError, MediaError
from .benchmarks import Loaded, Question
from .manifest import MANIFEST_FILE, read_manifest
from .metrics import METRICS, Profile
from .report import write_report
from .response_log import read_lines, shard_paths
from .runner import Share, run
from .samples import Request, Responder, Response
from .scoring import Graded, grade_lines, summarize
from .whole_file import write_whole

RESPONSES_FILE = "responses-model.jsonl"
RESULT_FILE = "result.json"
OnError = Literal["go-on", "stop"]


def evaluate(
    loaded: Loaded,
    responder: Responder,
    folder: str | Path,
    manifest: Mapping[str, Any],
    *,
    profile: Profile | str = Profile.STRICT,
    share: Share | None = None,
    on_error: OnError = "go-on",
    on_response: Callable[[Response], None] = lambda response: None,
) -> dict[str, Any] | None:
    """Asks a benchmark's questions and writes answers, scores and a report into a folder.

    Started again with the same folder, it asks only what has no answer yet.

    Args:
        share: which part this process asks; None reads `RANK` and `WORLD_SIZE`.
        on_error: whether a row that cannot be asked ends the run.

    Returns:
        What is in `result.json`; None while other processes still have answers to give: the last
        one to end writes the result.

    Raises:
        ConfigError: a metric has no such profile.
        DataError: the folder holds a run of something else, a row is bad and that is to stop the
            run, or the disk is full.
    """
    folder = Path(folder)
    for metric in {*loaded.benchmark.metrics, *(each.metric for each in loaded.questions)}:
        METRICS[metric].check(profile)
    if on_error == "stop" and loaded.bad:
        first = loaded.bad[0]
        raise DataError(
            f"{len(loaded.bad)} rows cannot be asked; the first: {first.where}, {first.reason}."
        )
    share = share or Share.of_environment()
    keep_manifest(folder, manifest)
    questions = {question.id: question for question in loaded.questions}
    responses = run(
        [question.request for question in loaded.questions],
        responder,
        folder / RESPONSES_FILE,
        on_response=on_response,
        about=lambda request: describe(questions[request.id], request, folder),
        share=share,
        retries_errors=True,
    )
    if len(responses) < len(questions):
        return None
    return rescore(folder, profile)


def keep_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Writes the manifest, if the folder holds no run of something else.

    Raises:
        DataError: it does, or it cannot be written.
    """
    if (folder / MANIFEST_FILE).is_file():
        old = read_manifest(folder)
        for part in ("model", "decoding", "shown"):
            if old[part] != json.loads(json.dumps(manifest[part])):
                raise DataError(_other(folder, part, old[part], manifest[part]))
        for key in ("name", "split", "prompts"):
            if old["benchmark"][key] != manifest["benchmark"][key]:
                raise DataError(
                    _other(folder, key, old["benchmark"][key], manifest["benchmark"][key])
                )
    write_json(folder / MANIFEST_FILE, manifest)


def _other(folder: Path, what: str, old: Any, new: Any) -> str:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = sorted({*old, *new})
        what = next((f"{what} {key}" for key in keys if old.get(key) != new.get(key)), what)
        key = what.rpartition(" ")[2]
        old, new = old.get(key), new.get(key)
    return (
        f"{folder} holds a run with another {what} ({old!r} there, {new!r} now); choose another "
        "folder with --out."
    )


def describe(question: Question, request: Request, folder: Path) -> dict[str, Any]:
    """What stands beside an answer: its gold, and what was shown, by place and checksum."""
    return {
        **question.about(),
        "media": [_medium(each, folder) for each in request.media],
        "max_tokens": request.max_tokens,
    }


def _medium(medium: Any, folder: Path) -> dict[str, Any]:
    if isinstance(medium, np.ndarray):
        digest = hashlib.sha256(str(medium.shape).encode() + medium.tobytes()).hexdigest()
        return {"saved": _save(medium, digest, folder), "sha256": digest}
    if isinstance(medium, Mapping):
        frames = [_medium(np.asarray(each), folder) for each in medium.get("frames", ())]
        times = [float(each) for each in medium.get("timestamps", ())]
        return {"frames": frames, "timestamps": times}
    try:
        return {**medium.ref(), "sha256": medium.sha256()}
    except MediaError:
        return dict(medium.ref())


def _save(image: np.ndarray, digest: str, folder: Path) -> str:
    """Keeps a drawn page once, as PNG."""
    name = f"pictures/{digest[:16]}.png"
    path = folder / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            Image.fromarray(image).save(part, "PNG")
            os.replace(part, path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise DataError(f"{path} cannot be written: {error.strerror or error}.") from error
    return name


def read_run(folder: str | Path, profile: Profile | str) -> tuple[dict[str, Any], list[Graded]]:
    """The manifest of a run and its answers, graded, in the order of the questions.

    Raises:
        DataError: there is no run, or answers are missing.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    lines: dict[str, Mapping[str, Any]] = {}
    for path in shard_paths(folder / RESPONSES_FILE):
        lines.update({str(values.get("id")): values for _, values in read_lines(path)})
    ids = manifest["benchmark"]["sample_ids"]
    missing = [each for each in ids if each not in lines]
    if missing:
        raise DataError(
            f"{folder} has no answer to {len(missing)} of {len(ids)} questions, the first "
            f"{missing[0]}; start its run again to ask them."
        )
    return manifest, grade_lines((lines[each] for each in ids), profile)


def rescore(folder: str | Path, profile: Profile | str = Profile.STRICT) -> dict[str, Any]:
    """Scores what is in a folder under a profile, and writes result and report.

    Raises:
        ConfigError: there is no such profile, or the benchmark's metric has none of that name.
        DataError: there is no run, or it is not whole.
    """
    folder = Path(folder)
    manifest, graded = read_run(folder, profile)
    result = result_of(manifest, graded, profile)
    write_json(folder / RESULT_FILE, result)
    write_report(folder, manifest, result, graded)
    return result


def result_of(
    manifest: Mapping[str, Any], graded: Sequence[Graded], profile: Profile | str
) -> dict[str, Any]:
    """The scores with what a reader must know of them."""
    benchmark = manifest["benchmark"]
    failures = [
        {"id": each.id, "outcome": each.outcome, "error": each.response.error}
        for each in graded
        if each.response.finish_reason == "error"
    ]
    return {
        "benchmark": benchmark["name"],
        "split": benchmark["split"],
        "model": manifest["model"]["name"],
        "manifest": manifest["id"],
        **summarize(
            graded,
            metric=benchmark["metric"],
            total=benchmark["total"],
            metrics=benchmark["metrics"],
            profile=profile,
        ),
        "bad_rows": manifest["bad_rows"],
        "failures": failures,
    }


def write_json(path: Path, value: Any) -> None:
    """Writes a file whole or not at all.

    Raises:
        DataError: it cannot be written.
    """
    write_whole(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
