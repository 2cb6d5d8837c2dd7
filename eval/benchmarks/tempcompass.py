"""TempCompass: what changes over time in a short video. Y. Liu et al., ACL Findings 2024.

Its three tasks with one right answer; captions are judged by a language model and are left out.
Captions to choose from are shown under the labels of the file ("Caption A", "Sentence 2").
"""

from collections.abc import Sequence
from dataclasses import replace

from ...errors import DataError
from ..metrics import Gold
from .benchmark import Benchmark, Draft, choice_gold, lettered
from .row import Row

TASKS = ("multi-choice", "yes_no", "caption_matching")


def _read(row: Row) -> Draft | list[Draft]:
    task = next((each for each in TASKS if each in (row.path.stem, row.path.parent.name)), "")
    if not task:
        return []
    if "video_id" in row.values:
        return _draft(row, task, row.text("video_id"), row.text("dim"), row.values, row.number)
    # The authors' file: video -> what changes -> questions.
    video = row.text("id")
    return [
        _draft(row, task, video, dim, values, number)
        for dim, entries in row.values.items()
        if isinstance(entries, list)
        for number, values in enumerate(entries, start=1)
    ]


def _draft(row: Row, task: str, video: str, dim: str, values, number: int) -> Draft:
    question, answer = str(values.get("question") or ""), str(values.get("answer") or "")
    if not question or not answer:
        raise DataError("it has no question or no answer")
    head, *lines = (line for line in question.strip().split("\n") if line.strip())
    options = ""
    if task == "yes_no":
        gold, metric = Gold(answers=(answer.strip().lower(),)), "yes_no"
    elif task == "caption_matching":
        gold, metric, options = _captions(lines, answer), "tempcompass_captions", "\n".join(lines)
    else:
        texts = [line.split(". ", 1)[-1] for line in lines]
        gold, metric, options = _gold(lines, answer, texts), "tempcompass", lettered(texts)
    return Draft(
        id=f"tempcompass/{task}/{video}/{dim}/{number}",
        values={"question": head, "options": options},
        media=(row.file(video, folders=("videos",), suffix=".mp4"),),
        gold=gold,
        prompt=task,
        metric=metric,
        kind=f"{task}: {dim}",
        group=video,
    )


def _gold(lines: list[str], answer: str, texts: Sequence[str]) -> Gold:
    """The answer is a whole line as it stands in the question."""
    same = [idx for idx, line in enumerate(lines) if line.strip() == answer.strip()]
    return choice_gold(same[0] if same else answer, texts)


def _captions(lines: list[str], answer: str) -> Gold:
    if not lines:
        raise DataError("it has no captions")
    if bad := [line for line in lines if ": " not in line]:
        raise DataError(f"its caption {bad[0]!r} has no label, as in 'Caption A: ...'")
    labels, texts = zip(*(line.split(": ", 1) for line in lines), strict=True)
    return replace(_gold(lines, answer, texts), texts=labels)


TEMPCOMPASS = Benchmark(
    name="tempcompass",
    title="TempCompass",
    splits={
        "test": (
            "[mcy][uae][lps]*/test-*.parquet",
            "questions/[mcy][uae][lps]*.json",
        )
    },
    put=(
        "multi-choice/, yes_no/ and caption_matching/ with their test-*.parquet, and the unpacked "
        "videos/, of huggingface.co/datasets/lmms-lab/TempCompass; or questions/*.json and videos/."
    ),
    read=_read,
    prompts={
        "": "{question}\n{options}",
        "multi-choice": "{question}\n{options}\nPlease directly give the best option:",
        "yes_no": "{question}\nPlease answer yes or no:",
        "caption_matching": "{question}\n{options}\nPlease directly give the best option:",
    },
    metric="tempcompass",
    max_tokens=16,
)
