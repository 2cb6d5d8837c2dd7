"""OCRBench: 1,000 questions of ten kinds. Y. Liu et al., 2024."""

from ..metrics import Gold
from .benchmark import Benchmark, Draft
from .row import Row

_FORMULAS = "HME100k"


def _read(row: Row) -> Draft:
    source = str(row.get("dataset", "dataset_name", default=""))
    return Draft(
        id=f"ocrbench/{row.get('id', default=row.number)}",
        values={"question": row.text("question")},
        media=(row.medium("image", "image_path", folders=("OCRBench_Images", "images")),),
        gold=Gold(
            answers=row.texts("answer", "answers"), kind="formula" if source == _FORMULAS else ""
        ),
        kind=str(row.get("question_type", "type", default="")),
    )


OCRBENCH = Benchmark(
    name="ocrbench",
    title="OCRBench",
    splits={"test": ("**/test-*.parquet", "OCRBench.json", "OCRBench*.tsv", "**/*test*.tar")},
    put=(
        "data/test-*.parquet of huggingface.co/datasets/echo840/OCRBench, or OCRBench.json and "
        "OCRBench_Images/ of the authors."
    ),
    read=_read,
    prompts={"": "{question}"},
    metric="ocrbench",
    max_tokens=128,
)
