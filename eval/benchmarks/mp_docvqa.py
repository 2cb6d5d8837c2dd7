"""MP-DocVQA: DocVQA with up to twenty pages of the document. R. Tito et al., PR 2023."""

from ..metrics import Gold
from .benchmark import SHORT, Benchmark, Draft
from .row import Row


def _read(row: Row) -> Draft:
    pages = tuple(
        row.medium(f"image_{idx}") for idx in range(1, 21) if row.get(f"image_{idx}") is not None
    )
    if not pages:
        names = row.texts("page_ids")
        pages = tuple(row.file(name, folders=("images",), suffix=".jpg") for name in names)
    return Draft(
        id=f"mp_docvqa/{row.text('questionId', 'question_id')}",
        values={"question": row.text("question")},
        media=pages,
        gold=Gold(answers=row.texts("answers")),
        kind="one page" if len(pages) == 1 else "several pages",
        group=str(row.get("doc_id", default="")),
    )


MP_DOCVQA = Benchmark(
    name="mp_docvqa",
    title="MP-DocVQA",
    splits={"validation": ("**/val-*.parquet", "val.json", "**/*val*.jsonl")},
    put=(
        "data/val-*.parquet of huggingface.co/datasets/lmms-lab/MP-DocVQA, or val.json and the "
        "folder images/ of rrc.cvc.uab.es."
    ),
    read=_read,
    prompts={"": "{question}" + SHORT},
    metric="anls",
    metrics=("exact_match",),
)
