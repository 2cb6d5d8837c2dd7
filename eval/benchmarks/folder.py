"""`folder`: one's own documents with a questions file beside them.

    invoices/
      questions.csv       file,question,answer
      2024-001.pdf
      scans/receipt.png

The questions file is CSV, TSV, JSON or JSONL and has a row for each question:

    file      the document, picture or video, below the folder; several with ";" between them, a
              pattern such as scans/*.png, or a list in JSON
    question  what is asked
    answer    what is right; several right ones with "|" between them, or a list in JSON
    pages     of a PDF, such as 1-3,7 (all)
    options   for multiple choice, with "|" between them; `answer` is then a letter or an option
    kind      any word: scores are given for each kind
    metric    how the answer is graded (`answer`, or `choice` with options)
    id        a name of its own (the row's number)
"""

import csv
import difflib
from collections.abc import Sequence
from pathlib import Path

from ...errors import ConfigError, DataError
from ..media import VIDEO_SUFFIXES, StoredFile
from ..metrics import METRICS, Gold
from .benchmark import Benchmark, Draft, choice_gold, lettered
from .row import Row, as_list

QUESTIONS_FILE = "questions.csv"
_NAMES = {
    "file": ("file", "files", "document", "image", "picture", "video", "path", "doc"),
    "question": ("question", "query", "prompt", "q"),
    "answer": ("answer", "answers", "gold", "expected", "label"),
    "pages": ("pages", "page"),
    "options": ("options", "choices", "candidates"),
    "kind": ("kind", "type", "category", "question_type"),
    "metric": ("metric",),
    "id": ("id", "question_id", "questionId"),
}
_DOCUMENTS = (".pdf", ".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", *VIDEO_SUFFIXES)


def _read(row: Row) -> Draft:
    for name in ("file", "question", "answer"):
        if row.get(*_NAMES[name]) is None:
            raise DataError(_missing(row, name))
    files = _files(row)
    options = _parts(row.get(*_NAMES["options"]))
    answers = _parts(row.get(*_NAMES["answer"]))
    if not answers:
        raise DataError("its answer is empty")
    metric = str(row.get(*_NAMES["metric"], default="choice" if options else "answer"))
    if metric not in METRICS:
        near = difflib.get_close_matches(metric, METRICS, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(METRICS)}"
        raise DataError(f"there is no metric {metric!r}{hint}")
    return Draft(
        id=str(row.get(*_NAMES["id"], default=row.number)),
        values={"question": row.text(*_NAMES["question"]), "options": lettered(options)},
        media=files,
        gold=choice_gold(answers[0], options) if options else Gold(answers=answers),
        prompt="choice" if options else "",
        metric=metric,
        kind=str(row.get(*_NAMES["kind"], default="")),
        group=" ".join(Path(file.path).name for file in files),
    )


def _missing(row: Row, name: str) -> str:
    if any(each in row.values for each in _NAMES[name]):
        return f"its {name} is empty"
    there = ", ".join(map(str, row.values)) or "nothing"
    near = difflib.get_close_matches(name, list(map(str, row.values)), n=1)
    hint = f"; is {near[0]!r} meant?" if near else ""
    return f"it has no {name}; its columns are {there}{hint}"


def _parts(value: object) -> tuple[str, ...]:
    if isinstance(value, bool):
        return ("yes", "true") if value else ("no", "false")
    if isinstance(value, str) and not value.strip().startswith("["):
        return tuple(part.strip() for part in value.split("|") if part.strip())
    parts = (str(each).strip() for each in as_list(value) if each is not None)
    return tuple(part for part in parts if part)


def _files(row: Row) -> tuple[StoredFile, ...]:
    value = row.get(*_NAMES["file"])
    names = value.split(";") if isinstance(value, str) and value[:1] != "[" else as_list(value)
    pages = row.get(*_NAMES["pages"])
    found: list[StoredFile] = []
    for name in (str(each).strip() for each in names):
        if not name:
            continue
        if any(mark in name for mark in "*?"):
            paths = sorted(path for path in row.root.glob(name) if path.is_file())
            if not paths:
                raise DataError(f"no file matches {name} in {row.root}")
            found += [StoredFile(path=str(path)) for path in paths]
        else:
            found.append(row.file(name))
    if pages is not None:
        found = [StoredFile(path=file.path, pages=str(pages)) for file in found]
    return tuple(found)


def start_questions(folder: str | Path) -> Path:
    """Writes `questions.csv` with a row for each document of a folder, to be filled in.

    Raises:
        ConfigError: there is one already, or the folder has no documents.
    """
    folder = Path(folder).expanduser()
    path = folder / QUESTIONS_FILE
    if path.exists():
        raise ConfigError(f"{path} is there already; add rows to it.")
    documents: Sequence[Path] = sorted(
        each for each in folder.rglob("*") if each.suffix.lower() in _DOCUMENTS
    )
    if not documents:
        raise ConfigError(f"{folder} holds no documents ({', '.join(_DOCUMENTS[:6])}, ...).")
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("file", "question", "answer", "kind"))
        for document in documents:
            rows.writerow((document.relative_to(folder).as_posix(), "", "", ""))
    return path


FOLDER = Benchmark(
    name="folder",
    title="own documents",
    splits={
        "all": (
            "questions.csv",
            "questions.jsonl",
            "questions.json",
            "questions.tsv",
            "*.csv",
            "*.jsonl",
        )
    },
    put=(
        "a file questions.csv with the columns file, question and answer (`latentvlm eval start "
        "FOLDER` writes one to be filled in; docs/evaluation.md has an example)."
    ),
    read=_read,
    prompts={
        "": "{question}",
        "choice": "{question}\n{options}\nAnswer with the option's letter from the given choices "
        "directly.",
    },
    metric="answer",
    metrics=("anls",),
    max_tokens=256,
)
