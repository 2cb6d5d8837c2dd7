"""TempCompass: what changes over time in a short video. Y. Liu et al., ACL Findings 2024.

Its three tasks with one right answer; captions are judged by a language model and are left out.
The captions to choose from are lettered A, B, ... here, whatever they are called in the file.
"""

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
    head, *lines = question.strip().split("\n")
    if task == "yes_no":
        gold, metric, options = Gold(answers=(answer.strip().lower(),)), "yes_no", ""
    else:
        texts = [line.split(". " if task == "multi-choice" else ": ", 1)[-1] for line in lines]
        same = [idx for idx, line in enumerate(lines) if line.strip() == answer.strip()]
        gold = choice_gold(same[0] if same else answer, texts)
        metric = "tempcompass" if task == "multi-choice" else "choice"
        options = lettered(texts)
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
