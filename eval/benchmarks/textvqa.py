"""TextVQA: questions about text in photographs. A. Singh et al., CVPR 2019."""

from ...errors import DataError
from ..metrics import Gold
from .benchmark import SHORT, Benchmark, Draft
from .row import Row, as_list


def _read(row: Row) -> Draft:
    answers = tuple(str(each) for each in as_list(row.get("answers")))
    if not answers:
        raise DataError("it has no answers")
    picture = row.medium("image", "image_id", folders=("train_images", "images"), suffix=".jpg")
    return Draft(
        id=f"textvqa/{row.text('question_id')}",
        # lmms-eval asks with a capital at the beginning and none after it.
        values={"question": row.text("question").capitalize()},
        media=(picture,),
        gold=Gold(answers=answers),
        group=str(row.get("image_id", default="")),
    )


TEXTVQA = Benchmark(
    name="textvqa",
    title="TextVQA",
    splits={
        "validation": (
            "**/validation-*.parquet",
            "TextVQA_*val.json",
            "*val*.jsonl",
            "**/*val*.tar",
        ),
    },
    put=(
        "data/validation-*.parquet of huggingface.co/datasets/lmms-lab/textvqa, or "
        "TextVQA_0.5.1_val.json and the folder train_images/ of textvqa.org."
    ),
    read=_read,
    prompts={"": "{question}" + SHORT},
    metric="vqa_accuracy",
)
