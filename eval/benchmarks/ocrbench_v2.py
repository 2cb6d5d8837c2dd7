"""OCRBench v2: 10,000 questions of thirty kinds, English and Chinese. L. Fu et al., 2025."""

import json
from typing import Any

from ...errors import DataError
from ..metrics import Gold
from .benchmark import Benchmark, Draft
from .row import Row, as_list


def _read(row: Row) -> Draft:
    kind, answers = row.text("type"), as_list(row.get("answers"))
    boxes: tuple[tuple[int, ...], ...] = ()
    texts: tuple[str, ...] = ()
    task = kind.rpartition(" ")[0]
    if task == "text grounding":
        boxes, answers = (_box(answers),), []
    elif task == "VQA with position":
        found = as_list(row.get("bbox"))
        boxes = (_box(found[0] if found and isinstance(found[0], list) else found),)
    elif task == "text spotting":
        boxes = tuple(_box(each) for each in as_list(row.get("bbox")))
        texts = tuple(str(each) for each in as_list(row.get("content")))
        if len(boxes) != len(texts):
            raise DataError(f"it has {len(boxes)} boxes but {len(texts)} texts")
    if not answers and not boxes:
        raise DataError("it has no answers")
    return Draft(
        id=f"ocrbench_v2/{row.text('id')}",
        values={"question": row.text("question")},
        media=(row.medium("image", "image_path", folders=("",)),),
        gold=Gold(
            answers=tuple(_answer(each) for each in answers),
            kind=kind,
            rule=str(row.get("eval", default="")),
            question=row.text("question"),
            boxes=boxes,
            texts=texts,
        ),
        kind=kind,
    )


def _answer(value: Any) -> Any:
    """Key information and charts are mappings, which parquet holds as JSON."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value if isinstance(value, dict | list) else str(value)


def _box(values: Any) -> tuple[int, ...]:
    try:
        box = tuple(int(float(each)) for each in values)
    except (TypeError, ValueError) as error:
        raise DataError(f"its box {values!r} is none") from error
    if len(box) < 4:
        raise DataError(f"its box {values!r} has not four numbers")
    return box


OCRBENCH_V2 = Benchmark(
    name="ocrbench_v2",
    title="OCRBench v2",
    splits={"test": ("**/test-*.parquet", "OCRBench_v2.json", "**/*test*.tar")},
    put=(
        "data/test-*.parquet of huggingface.co/datasets/ling99/OCRBench_v2, or OCRBench_v2.json "
        "and the folders of pictures beside it."
    ),
    read=_read,
    prompts={"": "{question}"},
    metric="ocrbench_v2",
    max_tokens=1024,
    total="ocrbench_v2",
)
