"""AI2D: multiple choice about school-book diagrams. A. Kembhavi et al., ECCV 2016.

`ai2d` hides the labels it asks for behind letters; `no-mask` is another data set: say which.
"""

from .benchmark import LETTER, Benchmark, Draft, choice_gold, lettered
from .row import Row


def _read(row: Row) -> Draft:
    options = row.texts("options")
    return Draft(
        id=f"ai2d/{row.get('id', default=row.number)}",
        values={"question": row.text("question"), "options": lettered(options)},
        media=(row.medium("image"),),
        gold=choice_gold(row.get("answer"), options),
    )


AI2D = Benchmark(
    name="ai2d",
    title="AI2D",
    splits={
        "test": ("data/test-*.parquet", "test-*.parquet", "*test*.jsonl", "**/*test*.tar"),
        "no-mask": ("no_mask/test-*.parquet", "**/*no_mask*/test-*.parquet"),
    },
    put="data/test-*.parquet of huggingface.co/datasets/lmms-lab/ai2d (or ai2d-no-mask).",
    read=_read,
    prompts={"": "{question}\n{options}" + LETTER},
    metric="ai2d",
    max_tokens=16,
)
