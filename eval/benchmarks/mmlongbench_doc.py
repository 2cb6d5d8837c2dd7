"""MMLongBench-Doc: questions about whole PDF files. Y. Ma et al., NeurIPS 2024."""

from ...errors import DataError
from ..metrics import Gold
from ..metrics.long_document import KINDS
from .benchmark import Benchmark, Draft
from .row import Row


def _read(row: Row) -> Draft:
    answer_format, document = str(row.get("answer_format", default="")), row.text("doc_id")
    if answer_format not in KINDS:
        raise DataError(f"its answer_format {answer_format!r} is none of {', '.join(KINDS)}")
    return Draft(
        id=f"mmlongbench_doc/{document}/{row.number}",
        values={"question": row.text("question")},
        media=(row.file(document, folders=("documents", "data/documents")),),
        gold=Gold(answers=(row.text("answer"),), kind=answer_format),
        kind=str(row.get("doc_type", default="")),
        group=document,
    )


MMLONGBENCH_DOC = Benchmark(
    name="mmlongbench_doc",
    title="MMLongBench-Doc",
    splits={"test": ("**/train-*.parquet", "samples.json", "data/samples.json")},
    put=(
        "data/train-*.parquet and documents/*.pdf of "
        "huggingface.co/datasets/yubo2333/MMLongBench-Doc, or samples.json and documents/."
    ),
    read=_read,
    prompts={
        "": "{question}\nAnswer with a single word or phrase. If the answer is not in the "
        "document, answer 'Not answerable'."
    },
    metric="mmlongbench_doc",
    max_tokens=1024,
)
