"""The model card: its tables are made from the files that measuring and training wrote."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..vlm.limits import ModelLimits
from .documents import RUNGS

CARD_FILE = "README.md"
_FEW = 20

_TEMPLATE = """# The default model of LatentVLM

A small vision-language model that answers questions about pictures of documents, from the pixels
alone: a RADIO-shaped tower, a projector, and a language model of Mamba-2, attention and LatentMoE
blocks. `latentvlm.load()` opens it; so does transformers, as `nemotron_h_omni`.

## Training

Random weights, then only documents that `data/synthetic` draws: receipts, invoices, forms, tables,
letters, cards and bar charts in sixteen open fonts, with questions in English.
No other data, no other model. The recipe is in `vlm/train/recipes/`; `latentvlm train` runs it.

<!-- training:begin -->
<!-- training:end -->

## Scores

Documents with held-out words, values, templates and fonts, half of the questions in held-out
phrasings. Exact match forgives white space only; an empty or cut-off answer is wrong. The rival is
Tesseract with rules that were told every phrasing, label and column of the generator.
To measure again: `latentvlm eval run latentvlm-docs --rival --controls`.

<!-- scores:begin -->
<!-- scores:end -->

## Limits

It has seen nothing but generated documents. Photographs, handwriting, other scripts and languages,
dense or dark pages, smaller type than it was shown and questions unlike those of the generator are
beyond it.
Do not rely on an answer that you cannot check on the page.
"""


def write_calibration(folder: str | Path, scores: list[dict[str, Any]]) -> None:
    """Write into `latentvlm.json` how often answers of which confidence were right.

    Ranges with few answers say nothing; a higher range is never less sure than a lower one.
    """
    found = [values["model"].get("calibration") for values in scores if "model" in values]
    for calibration in filter(None, found):
        steps: list[tuple[float, float]] = []
        for each in calibration["bins"]:
            if each["n"] >= _FEW:
                steps.append((each["low"], max(each["exact"], steps[-1][1] if steps else 0.0)))
        low = next((least for least, share in steps if share >= 0.5), 1.0)
        ModelLimits.change(folder, low_confidence=low, calibration=tuple(steps))
        return


def write_card(
    folder: str | Path, scores: list[dict[str, Any]], *, logs: Sequence[str | Path] = ()
) -> Path:
    """Writes the tables of a model's card, and the card if there is none.

    Text outside the marked parts stays as it is.

    Args:
        folder: the model's folder.
        scores: results of `measure`; a later one adds what an earlier one lacks.
        logs: the `log.jsonl` of the training run, or of several that followed each other; none
            leaves that part alone.

    Returns:
        The card's path.

    Raises:
        DataError: the card lacks the marks, or the log cannot be read.
    """
    path = Path(folder) / CARD_FILE
    text = path.read_text(encoding="utf-8") if path.is_file() else _TEMPLATE
    text = _replace(text, "scores", scores_table(_merge(scores)), path)
    if logs:
        text = _replace(text, "training", training_table(logs), path)
    path.write_text(text, encoding="utf-8")
    return path


def put_part(text: str, part: str, content: str, path: Path, *, heading: str) -> str:
    """The text with this content between the marks of a part.

    A card without the marks gets them, under a heading of their own before its limits.

    Raises:
        DataError: the marks are broken.
    """
    begin, end = f"<!-- {part}:begin -->", f"<!-- {part}:end -->"
    if begin not in text and end not in text:
        new = f"{heading}\n\n{begin}\n{end}\n\n"
        head, mark, tail = text.partition("## Limits")
        text = head + new + mark + tail if mark else f"{text.rstrip()}\n\n{new.rstrip()}\n"
    return _replace(text, part, content, path)


def _replace(text: str, part: str, content: str, path: Path) -> str:
    begin, end = f"<!-- {part}:begin -->", f"<!-- {part}:end -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(end) < text.index(begin):
        raise DataError(f"{path} needs one line {begin} and after it one line {end}.")
    head, tail = text.split(begin)[0], text.split(end)[1]
    return f"{head}{begin}\n{content}\n{end}{tail}"


def _merge(scores: list[dict[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {"benchmark": None}
    for each in scores:
        if merged["benchmark"] not in (None, each["benchmark"]):
            raise DataError("The scores are of different questions; measure them with one command.")
        merged = {**each, **merged, "benchmark": each["benchmark"]}
    return merged


def scores_table(scores: dict[str, Any]) -> str:
    """Markdown: scores by rung, by kind, the controls and the calibration."""
    sides = [side for side in ("model", "rival") if side in scores]
    names = {"model": "this model", "rival": "rival"}
    rungs = scores["benchmark"]["rungs"]
    head = [f"{names[side]}: {what}" for side in sides for what in ("exact", "ANLS", "CER")]
    parts = [table_row(["rung", "questions", *head]), table_row(["---"] * (2 + len(head)))]
    for rung, about in rungs.items():
        cells = [scores[side]["scores"][rung]["all"] for side in sides]
        numbers = [percent(cell[key]) for cell in cells for key in ("exact", "anls", "cer")]
        parts.append(table_row([RUNGS[rung].title, str(about["questions"]), *numbers]))
    by_kind = [rung for rung in rungs if RUNGS[rung].metric == "exact"]
    if by_kind:
        head = [f"{names[side]}: {what}" for side in sides for what in ("exact", "ANLS")]
        parts += [
            "",
            table_row(["rung", "kind", "questions", *head]),
            table_row(["---"] * (3 + len(head))),
        ]
    for rung in by_kind:
        for kind in scores[sides[0]]["scores"][rung]["kinds"]:
            cells = [scores[side]["scores"][rung]["kinds"][kind] for side in sides]
            numbers = [percent(cell[key]) for cell in cells for key in ("exact", "anls")]
            parts.append(table_row([RUNGS[rung].title, kind, str(cells[0]["n"]), *numbers]))
    parts += [""]
    if "model" in scores:
        parts += _about_model(scores["model"], sum(about["questions"] for about in rungs.values()))
    if "rival" in scores:
        parts.append(f"The rival: {scores['rival']['name']}.")
    versions = ", ".join(f"{name} {value}" for name, value in scores["versions"].items())
    parts.append(f"Questions {scores['benchmark']['hash']}; {versions}.")
    return "\n".join(parts)


def _about_model(model: dict[str, Any], total: int) -> list[str]:
    cells = [rung["all"] for rung in model["scores"].values()]
    bad = {key: sum(cell[key] for cell in cells) for key in ("empty", "cut_off", "failed")}
    parts = [
        f"Of {total} answers {bad['empty']} were empty, {bad['cut_off']} cut off and "
        f"{bad['failed']} failed; all count as wrong."
    ]
    sure = (model.get("calibration") or {}).get("above_0.9")
    if sure and sure["n"]:
        share = percent(sure["exact"])
        parts.append(f"Of {sure['n']} answers with a confidence above 0.9, {share} are exact.")
    controls = model.get("controls")
    if controls:
        parts += ["", table_row(["control", "questions it had right", "same answer", "new value"])]
        parts.append(table_row(["---"] * 4))
        titles = {"blank": "blank page", "other": "other page", "redrawn": "value redrawn"}
        for control, title in titles.items():
            cell = controls[control]["all"]
            follows = percent(cell["follows"]) if "follows" in cell else ""
            parts.append(table_row([title, str(cell["n"]), percent(cell["keeps"]), follows]))
        parts.append("")
    return parts


def training_table(logs: Sequence[str | Path]) -> str:
    """Markdown: steps, documents and hours of each stage of training runs, one after the other.

    Raises:
        DataError: a log cannot be read, or has no training steps.
    """
    rows = [table_row(["stage", "steps", "documents", "hours"]), table_row(["---"] * 4)]
    all_documents, all_seconds = 0, 0.0
    for log in logs:
        documents, seconds = 0, 0.0
        for stage, entry in _last_steps(log).items():
            drawn, hours = entry["documents"] - documents, (entry["seconds"] - seconds) / 3600
            rows.append(table_row([stage, str(entry["step"]), f"{drawn:,}", f"{hours:.2f}"]))
            documents, seconds = entry["documents"], entry["seconds"]
        all_documents, all_seconds = all_documents + documents, all_seconds + seconds
    rows.append(table_row(["together", "", f"{all_documents:,}", f"{all_seconds / 3600:.2f}"]))
    return "\n".join(rows)


def _last_steps(log: str | Path) -> dict[str, dict[str, Any]]:
    """The last entry of each stage of a run."""
    try:
        lines = Path(log).read_text(encoding="utf-8").splitlines()
        trained = [entry for entry in map(json.loads, lines) if entry["kind"] == "train"]
        last = {
            entry["stage"]: {key: entry[key] for key in ("step", "documents", "seconds")}
            for entry in trained
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{log} cannot be read as a training log: {error!r}.") from error
    if not last:
        raise DataError(f"{log} has no training steps.")
    return last


def percent(share: float | None) -> str:
    """A share as a percentage with one decimal; a dash where there is none."""
    return "-" if share is None else f"{100 * share:.1f}%"


def table_row(cells: Sequence[str]) -> str:
    """One row of a table in Markdown."""
    return f"| {' | '.join(cells)} |"
