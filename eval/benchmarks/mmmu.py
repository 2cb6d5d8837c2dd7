"""MMMU: questions of college level from thirty subjects. X. Yue et al., CVPR 2024."""

import re

from ...errors import DataError
from ..metrics import Gold
from .benchmark import Benchmark, Draft, choice_gold, lettered
from .row import Row, as_list

_SUBJECT = re.compile(r"(?:validation|test|dev)_(.+)_\d+$")


def _read(row: Row) -> Draft:
    name = row.text("id")
    pictures = tuple(
        row.medium(f"image_{idx}") for idx in range(1, 8) if row.get(f"image_{idx}") is not None
    )
    if not pictures:
        raise DataError("it has no image_1")
    subject = _SUBJECT.match(name)
    kind = subject.group(1) if subject else str(row.get("subfield", default=""))
    options = [str(each) for each in as_list(row.get("options"))]
    question = row.text("question")
    is_choice = row.get("question_type", default="multiple-choice") == "multiple-choice"
    if is_choice and options:
        gold, prompt, metric = choice_gold(row.get("answer"), options), "", ""
    else:
        gold, prompt, metric = Gold(answers=row.texts("answer")), "open", "mmmu_open"
    return Draft(
        id=f"mmmu/{name}",
        values={"question": question, "options": lettered(options)},
        media=pictures,
        gold=gold,
        prompt=prompt,
        metric=metric,
        kind=kind,
    )


MMMU = Benchmark(
    name="mmmu",
    title="MMMU",
    splits={"validation": ("**/validation-*.parquet", "*val*.jsonl", "**/*val*.tar")},
    put=(
        "the folders of subjects with their validation-*.parquet of "
        "huggingface.co/datasets/MMMU/MMMU, or data/validation-*.parquet of lmms-lab/MMMU."
    ),
    read=_read,
    prompts={
        "": "{question}\n{options}\n\nAnswer with the option's letter from the given choices "
        "directly.",
        "open": "{question}\n\nAnswer the question using a single word or phrase.",
    },
    metric="mmmu",
    max_tokens=128,
)
