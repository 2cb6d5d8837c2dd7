"""EgoSchema: multiple choice about three minutes seen by a person. K. Mangalam et al., 2023.

Answers are published for 500 of the 5,031 questions: those are the split `subset`.
"""

import json

from ...errors import DataError
from .benchmark import LETTER, Benchmark, Draft, choice_gold, lettered
from .row import Row, as_list


def _read(row: Row) -> Draft | list[Draft]:
    options = [str(each) for each in as_list(row.get("option", "options"))]
    if not options:
        options = [row.text(f"option {idx}") for idx in range(5)]
    options = [text.split(". ", 1)[1] if text[1:3] == ". " else text for text in options]
    video = row.text("video_idx", "q_uid")
    answer = row.get("answer")
    if answer is None:
        answers = _published(row)
        if video not in answers:
            return []
        answer = answers[video]
    return Draft(
        id=f"egoschema/{video}/{row.get('question_idx', default=row.number)}",
        values={"question": row.text("question"), "options": lettered(options)},
        media=(row.file(video, folders=("videos",), suffix=".mp4"),),
        gold=choice_gold(answer, options),
        group=video,
    )


def _published(row: Row) -> dict[str, int]:
    path = row.root / "subset_answers.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"it has no answer, and {path} cannot be read") from error


EGOSCHEMA = Benchmark(
    name="egoschema",
    title="EgoSchema",
    splits={"subset": ("Subset/test-*.parquet", "**/test-*.parquet", "questions.json")},
    put=(
        "Subset/test-*.parquet and the unpacked videos/ of "
        "huggingface.co/datasets/lmms-lab/egoschema, or questions.json, subset_answers.json and "
        "videos/ of the authors."
    ),
    read=_read,
    prompts={"": "{question}\n{options}" + LETTER},
    metric="egoschema",
    max_tokens=16,
)
