"""SlideVQA: questions about decks of twenty slides. R. Tanaka et al., AAAI 2023."""

from ...errors import DataError
from ..metrics import Gold
from .benchmark import Benchmark, Draft
from .row import Row


def _read(row: Row) -> Draft:
    pages = tuple(
        row.medium(f"page_{idx}") for idx in range(1, 21) if row.get(f"page_{idx}") is not None
    )
    if not pages:
        raise DataError("it has no page_1")
    return Draft(
        id=f"slidevqa/{row.text('qa_id')}",
        values={"question": row.text("question")},
        media=pages,
        gold=Gold(answers=row.texts("answer")),
        kind="arithmetic" if row.get("arithmetic_expression") not in (None, "None") else "span",
        group=str(row.get("deck_name", default="")),
    )


SLIDEVQA = Benchmark(
    name="slidevqa",
    title="SlideVQA",
    splits={
        "validation": ("**/val-*.parquet", "**/*val*.jsonl", "**/*val*.tar"),
        "test": ("**/test-*.parquet", "**/*test*.jsonl", "**/*test*.tar"),
    },
    put="data/val-*.parquet of huggingface.co/datasets/NTT-hil-insight/SlideVQA.",
    read=_read,
    prompts={"": "{question}\nAnswer using only the short answer, without explanation."},
    metric="anls",
    metrics=("exact_match", "f1"),
    max_tokens=128,
)
