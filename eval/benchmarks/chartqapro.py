"""ChartQAPro: harder charts, five kinds of question. A. Masry et al., ACL Findings 2025."""

from collections.abc import Sequence

from ...errors import DataError
from ..metrics import Gold
from .benchmark import Benchmark, Draft
from .row import Row, as_list


def _read(row: Row) -> Draft:
    questions = list(row.texts("Question", "question"))
    answers = [str(each).strip() for each in as_list(row.get("Answer", "answer"))]
    if not answers or not answers[-1]:
        raise DataError("it has no Answer")
    kind = str(row.get("Question Type", "question_type", default=""))
    years = [str(each).upper() for each in as_list(row.get("Year", default=[]))]
    if kind == "Conversational":
        years = years[-1:]
    return Draft(
        id=f"chartqapro/{row.path.stem}/{row.number}",
        values={
            "question": _conversation(questions, answers)
            if kind == "Conversational" and len(questions) > 1
            else questions[-1].strip(),
            "context": _context(row),
        },
        media=(row.medium("image"),),
        gold=Gold(answers=(answers[-1],), kind=kind, texts=tuple(years)),
        kind=kind,
    )


def _context(row: Row) -> str:
    paragraph = str(row.get("Paragraph", default="")).strip()
    return f"Context: {paragraph}\n\n" if paragraph else ""


def _conversation(questions: Sequence[str], answers: Sequence[str]) -> str:
    lines = []
    for idx, question in enumerate(questions, start=1):
        lines.append(f"Q{idx}: {question.strip()}")
        if idx < len(questions) and idx <= len(answers):
            lines.append(f"A{idx}: {answers[idx - 1]}")
    return "\n".join(lines)


CHARTQAPRO = Benchmark(
    name="chartqapro",
    title="ChartQAPro",
    splits={"test": ("**/test-*.parquet", "*test*.jsonl", "**/*test*.tar")},
    put="data/test-*.parquet of huggingface.co/datasets/ahmed-masry/ChartQAPro.",
    read=_read,
    prompts={"": "{context}{question}\nAnswer the question with a short phrase."},
    metric="chartqapro",
    max_tokens=128,
)
