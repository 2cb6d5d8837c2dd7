"""ChartQA: questions about charts, asked by people or by a program. A. Masry et al., ACL 2022."""

from ..metrics import Gold
from .benchmark import Benchmark, Draft
from .row import Row


def _read(row: Row) -> Draft:
    kind = str(row.get("type", default="")) or row.path.stem
    answers = row.texts("answer", "label")
    return Draft(
        id=f"chartqa/{kind}/{row.path.stem}/{row.number}",
        values={"question": row.text("question", "query")},
        media=(row.medium("image", "imgname", folders=("test/png", "png"), suffix=".png"),),
        gold=Gold(answers=answers),
        kind={"human_test": "human", "test_human": "human"}.get(kind, "augmented"),
        group=str(row.get("imgname", default="")),
    )


CHARTQA = Benchmark(
    name="chartqa",
    title="ChartQA",
    splits={"test": ("**/test-*.parquet", "test/test_*.json", "test_*.json", "**/test*.tar")},
    put=(
        "data/test-*.parquet of huggingface.co/datasets/lmms-lab/ChartQA, or test/test_human.json, "
        "test/test_augmented.json and test/png/ of github.com/vis-nlp/ChartQA."
    ),
    read=_read,
    prompts={"": "{question}\nAnswer the question with a single word."},
    metric="relaxed_accuracy",
    max_tokens=16,
)
