"""InfographicVQA: questions about infographics. M. Mathew et al., WACV 2022."""

from .benchmark import SHORT, Benchmark, Draft
from .docvqa import read_page_question
from .row import Row


def _read(row: Row) -> Draft:
    folders = ("infographicsvqa_images", "infographicVQA_val_v1.0_images", "images")
    return read_page_question(row, name="infovqa", folders=folders)


INFOVQA = Benchmark(
    name="infovqa",
    title="InfographicVQA",
    splits={
        "validation": (
            "InfographicVQA/validation-*.parquet",
            "**/validation-*.parquet",
            "infographic*val*.json",
            "*val*.jsonl",
            "**/*val*.tar",
        ),
    },
    put=(
        "InfographicVQA/validation-*.parquet of huggingface.co/datasets/lmms-lab/DocVQA, or "
        "infographicsVQA_val_v1.0_withQT.json and the folder infographicsvqa_images/."
    ),
    read=_read,
    prompts={"": "{question}" + SHORT},
    metric="anls",
    metrics=("exact_match",),
)
