"""What it takes to get a score again."""

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from .benchmarks.benchmark import Loaded
from .benchmarks.question import Question

MANIFEST_FILE = "manifest.json"
VERSION = 1
_PACKAGES = ("latentvlm", "torch", "transformers", "pillow", "numpy", "pypdfium2", "av", "decord")
# What may differ between two runs that must give the same answers.
_APART = ("id", "versions", "machine", "bad_rows", "data")


def make_manifest(
    loaded: Loaded,
    *,
    model: Mapping[str, Any],
    decoding: Mapping[str, Any],
    shown: Mapping[str, Any],
    limit: int | None = None,
) -> dict[str, Any]:
    """All that a run was made of, as a value for JSON.

    Args:
        model: its name, checksum, precision, device, and how it is held.
        decoding: how answers are written.
        shown: how pages and videos are shown: dpi, frames, EVS, token budget.
    """
    benchmark = loaded.benchmark
    manifest = {
        "manifest": VERSION,
        "benchmark": {
            "name": benchmark.name,
            "title": benchmark.title,
            "split": loaded.split,
            "files": dict(loaded.files),
            "prompts": dict(benchmark.prompts),
            "prompt_hash": benchmark.prompt_hash(),
            "metric": benchmark.metric,
            "metrics": list(benchmark.metrics),
            "total": benchmark.total,
            "limit": limit,
            "questions": len(loaded.questions),
            "questions_hash": questions_hash(loaded.questions),
            "sample_ids": [question.id for question in loaded.questions],
        },
        "model": dict(model),
        "decoding": dict(decoding),
        "shown": dict(shown),
        "bad_rows": [{"where": row.where, "reason": row.reason} for row in loaded.bad],
        "versions": versions(),
        "machine": f"{platform.system()} {platform.machine()}",
    }
    return {"id": manifest_id(manifest), **manifest}


def manifest_id(manifest: Mapping[str, Any]) -> str:
    """A checksum of what decides the answers; versions and machine are told, but are not in it."""
    kept = {key: value for key, value in manifest.items() if key not in _APART}
    text = json.dumps(kept, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def questions_hash(questions: Sequence[Question]) -> str:
    """A checksum of all questions, golds and names of media; of pictures in memory, the pixels."""
    digest = hashlib.sha256()
    for question in questions:
        text = json.dumps([question.id, question.text, question.about()], sort_keys=True)
        digest.update(text.encode("utf-8") + b"\0")
        for medium in question.media:
            _add(digest, medium)
    return digest.hexdigest()[:16]


def _add(digest: Any, medium: Any) -> None:
    if isinstance(medium, np.ndarray):
        digest.update(str(medium.shape).encode() + medium.tobytes())
    elif isinstance(medium, Mapping):
        for frame in medium.get("frames", ()):
            _add(digest, frame)
    else:
        # The folder of a benchmark may be another on another machine.
        digest.update(medium.name.encode("utf-8") + b"\0")


def versions() -> dict[str, str]:
    """Of the packages that decide what is read and written."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """The manifest of a run.

    Raises:
        DataError: the folder has none, or it cannot be read.
    """
    path = Path(folder) / MANIFEST_FILE
    if not path.is_file():
        raise DataError(
            f"{folder} holds no run of `latentvlm eval run`: it has no {MANIFEST_FILE}."
        )
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if manifest["manifest"] > VERSION:
            raise DataError(f"{path} is of a newer version of this program.")
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} cannot be read: {error!r}.") from error
    return manifest
