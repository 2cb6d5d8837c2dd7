"""DocVQA: questions about scanned pages. M. Mathew et al., WACV 2021."""

from ..metrics import Gold
from .benchmark import SHORT, Benchmark, Draft
from .row import Row


def read_page_question(row: Row, *, name: str, folders: tuple[str, ...]) -> Draft:
    """A row of DocVQA or InfoVQA: one picture, several right answers."""
    kinds = row.get("question_types", "answer_type")
    kind = "/".join(map(str, kinds)) if isinstance(kinds, list) else str(kinds or "")
    picture = row.medium("image", "image_local_name", folders=folders)
    return Draft(
        id=f"{name}/{row.text('questionId', 'question_id')}",
        values={"question": row.text("question")},
        media=(picture,),
        gold=Gold(answers=row.texts("answers")),
        kind=kind,
        group=str(row.get("docId", "image_local_name", "image_url", default="")),
    )


def _read(row: Row) -> Draft:
    return read_page_question(row, name="docvqa", folders=("documents", "images"))


DOCVQA = Benchmark(
    name="docvqa",
    title="DocVQA",
    splits={
        "validation": (
            "DocVQA/validation-*.parquet",
            "**/validation-*.parquet",
            "val_v1.0*.json",
            "*val*.jsonl",
            "**/*val*.tar",
        ),
    },
    put=(
        "DocVQA/validation-*.parquet of huggingface.co/datasets/lmms-lab/DocVQA, or "
        "val_v1.0_withQT.json and the folder documents/ of rrc.cvc.uab.es."
    ),
    read=_read,
    prompts={"": "{question}" + SHORT},
    metric="anls",
    metrics=("exact_match",),
)
