"""DUDE: questions about documents of many pages. J. Van Landeghem et al., ICCV 2023.

A question without answer has the gold "Not answerable", as the prompt says and VLMEvalKit has it.
"""

from ..metrics import Gold
from .benchmark import Benchmark, Draft
from .row import Row, as_list

NOT_ANSWERABLE = "Not answerable"


def _read(row: Row) -> Draft | list[Draft]:
    if str(row.get("data_split", default="val")) not in ("val", "validation"):
        return []
    document = row.text("docId", "doc_id")
    answers = [str(each) for each in as_list(row.get("answers", "answer")) if str(each).strip()]
    answers += [str(each) for each in as_list(row.get("answers_variants", default=[]))]
    kind = str(row.get("answer_type", default=""))
    if kind == "not-answerable" or not answers:
        answers = [NOT_ANSWERABLE]
    pages = row.get("images", "pages", "page_images")
    media = (
        tuple(pages)
        if isinstance(pages, list) and pages
        else (row.file(f"{document}.pdf", folders=("PDF/val", "PDF", "pdfs/val", "pdfs")),)
    )
    return Draft(
        id=f"dude/{row.text('questionId', 'question_id')}",
        values={"question": row.text("question")},
        media=media,
        gold=Gold(answers=tuple(answers)),
        kind=kind,
        group=document,
    )


DUDE = Benchmark(
    name="dude",
    title="DUDE",
    splits={"validation": ("*DUDE_gt*.json", "**/*val*.parquet", "**/*val*.jsonl")},
    put=(
        "2023-03-23_DUDE_gt_test_PUBLIC.json (the annotations) and PDF/val/*.pdf of "
        "zenodo.org/records/7763635."
    ),
    read=_read,
    prompts={
        "": "{question}\nAnswer with a single word or phrase. If the document has no answer, "
        f"answer '{NOT_ANSWERABLE}'."
    },
    metric="anls",
    max_tokens=64,
)
