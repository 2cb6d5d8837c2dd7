"""What every benchmark is made of, and how one is read from a folder."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from ...errors import ConfigError, DataError
from ..metrics import Gold
from .question import Question
from .row import BadRow, Row
from .tables import read_rows

HOME = "LATENTVLM_BENCHMARKS"
SHORT = "\nAnswer the question using a single word or phrase."
LETTER = "\nAnswer with the option's letter from the given choices directly."


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A row that was understood; the benchmark's prompt is still to be put around it.

    Attributes:
        values: what the prompt's braces hold: `question`, and `options` one a line.
        prompt: which of the benchmark's prompts.
        metric: in place of the benchmark's.
        the others: as in `Question`.
    """

    id: str
    values: Mapping[str, str]
    media: tuple[Any, ...]
    gold: Gold
    prompt: str = ""
    metric: str = ""
    kind: str = ""
    group: str = ""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A benchmark: where its rows are, how one is understood, how it is asked and graded.

    Attributes:
        name, title: what the command line and reports call it.
        splits: name -> file patterns of its rows, the first that is there is read; the first split
            is the default.
        put: what to put where, as one sentence, for a folder that lacks it.
        read: a row -> what is asked of it; raises `DataError` for a row that cannot be asked.
        prompts: name -> text with `{question}` and `{options}`; "" is the usual one.
        metric: the name of the metric in `METRICS`.
        max_tokens: the longest answer that is waited for.
        total: how the score is made of its questions' (`totals.py`).
        metrics: further ones that are reported.
    """

    name: str
    title: str
    splits: Mapping[str, Sequence[str]]
    put: str
    read: Callable[[Row], Draft | Sequence[Draft]]
    prompts: Mapping[str, str]
    metric: str
    max_tokens: int = 32
    total: str = "mean"
    metrics: Sequence[str] = ()

    def prompt_hash(self) -> str:
        """A checksum of its prompts."""
        text = json.dumps(dict(self.prompts), sort_keys=True)
        return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The questions of a benchmark, and what is known of where they came from.

    Attributes:
        bad: rows that cannot be asked, with the reason of each.
        files: file name -> SHA-256 of the tables that were read.
    """

    benchmark: Benchmark
    split: str
    questions: Sequence[Question]
    bad: Sequence[BadRow] = ()
    files: Mapping[str, str] = field(default_factory=dict)


def load_benchmark(
    benchmark: Benchmark,
    folder: str | Path | None = None,
    *,
    split: str | None = None,
    limit: int | None = None,
    prompt: str | None = None,
    hashes_files: bool = True,
) -> Loaded:
    """Reads a benchmark's questions.

    Args:
        folder: where its files are; None looks in `$LATENTVLM_BENCHMARKS/NAME`, and then in
            `~/.cache/latentvlm/benchmarks/NAME`.
        split: None is the benchmark's usual one.
        limit: the most questions, from the beginning.
        prompt: in place of the benchmark's usual one.
        hashes_files: whether the tables are hashed, which reads all of them.

    Raises:
        ConfigError: there is no such split, or the limit or the prompt is none.
        DataError: the files are not there, or none of their rows can be asked.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"The limit is {limit}; it must be at least 1.")
    if prompt is not None:
        benchmark = replace(benchmark, prompts={**benchmark.prompts, "": prompt})
    split = split or next(iter(benchmark.splits))
    if split not in benchmark.splits:
        raise ConfigError(
            f"{benchmark.title} has no split {split!r}; it has {', '.join(benchmark.splits)}."
        )
    root = find_folder(benchmark.name, folder)
    paths = find_tables(benchmark, root, split)
    questions: dict[str, Question] = {}
    bad: list[BadRow] = []
    for row in read_rows(paths, root):
        if limit is not None and len(questions) >= limit:
            break
        if isinstance(row, BadRow):
            bad.append(row)
            continue
        try:
            drafts = benchmark.read(row)
        except DataError as error:
            bad.append(BadRow(where=row.where, reason=str(error)))
            continue
        for draft in [drafts] if isinstance(drafts, Draft) else drafts:
            if draft.id in questions:
                bad.append(BadRow(where=row.where, reason=f"the id {draft.id} is there already"))
            elif limit is None or len(questions) < limit:
                questions[draft.id] = _question(benchmark, draft)
    if not questions:
        first = f"; the first: {bad[0].where}, {bad[0].reason}" if bad else ""
        raise DataError(
            f"{paths[0].name} in {root} has no question of {benchmark.title} that can be "
            f"asked{first}."
        )
    files = {_below(path, root): _sha256(path) for path in paths} if hashes_files else {}
    return Loaded(
        benchmark=benchmark, split=split, questions=list(questions.values()), bad=bad, files=files
    )


def find_folder(name: str, folder: str | Path | None) -> Path:
    """The folder of a benchmark's files, whether it exists or not."""
    if folder is not None:
        return Path(folder).expanduser()
    home = os.environ.get(HOME) or "~/.cache/latentvlm/benchmarks"
    return Path(home).expanduser() / name


def find_tables(benchmark: Benchmark, root: Path, split: str) -> list[Path]:
    """The files that hold the rows of a split.

    Raises:
        DataError: there are none.
    """
    for pattern in benchmark.splits[split]:
        found = sorted(path for path in root.glob(pattern) if path.is_file())
        if found:
            return found
    missing = "is not there" if not root.is_dir() else f"has no {benchmark.splits[split][0]}"
    raise DataError(
        f"{root} {missing}: for {benchmark.title} ({split}) put there {benchmark.put} "
        f"Another folder is named by --data, or by {HOME} for all benchmarks."
    )


def _question(benchmark: Benchmark, draft: Draft) -> Question:
    try:
        text = benchmark.prompts[draft.prompt].format(**draft.values)
    except (KeyError, IndexError, ValueError) as error:
        raise ConfigError(
            f"The prompt {benchmark.prompts[draft.prompt]!r} cannot be filled in ({error!r}); its "
            f"braces may hold {', '.join(draft.values)}."
        ) from error
    return Question(
        id=draft.id,
        text=text.strip(),
        media=draft.media,
        gold=draft.gold,
        metric=draft.metric or benchmark.metric,
        kind=draft.kind,
        group=draft.group,
        max_tokens=benchmark.max_tokens,
    )


def choice_gold(answer: Any, options: Sequence[str], *, metric: str = "") -> Gold:
    """The gold of a multiple-choice row: a letter, a number from 0, or an option's text.

    Raises:
        DataError: it names no option.
    """
    if not options:
        raise DataError("it has no options")
    if len(options) > len(ascii_uppercase):
        raise DataError(f"it has {len(options)} options; letters name 26")
    letters = ascii_uppercase[: len(options)]
    found = -1
    if isinstance(answer, int) and not isinstance(answer, bool):
        found = answer
    elif isinstance(answer, str):
        text = answer.strip().strip("()").rstrip(".").strip()
        if len(text) == 1 and text.upper() in letters:
            found = letters.index(text.upper())
        elif text.isdigit() and answer not in options:
            found = int(text)
        else:
            same = [i for i, each in enumerate(options) if str(each).strip() == answer.strip()]
            found = same[0] if same else -1
    if not 0 <= found < len(options):
        raise DataError(f"its answer {answer!r} names none of its {len(options)} options")
    return Gold(answers=(letters[found],), options=tuple(str(each) for each in options))


def lettered(options: Iterable[str], form: str = "{}. {}") -> str:
    """Options one a line, each with its letter."""
    return "\n".join(
        form.format(letter, text) for letter, text in zip(ascii_uppercase, options, strict=False)
    )


def _below(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
