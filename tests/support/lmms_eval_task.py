"""A task of lmms-eval in a folder of its own: two questions about the sample invoice."""

from pathlib import Path

import latentvlm

NAME = "sample_invoice"
QUESTIONS = ("What is the total?", "Who is it from?")
_YAML = """\
task: {name}
dataset_path: parquet
dataset_kwargs:
  data_files:
    test: {table}
test_split: test
output_type: generate_until
doc_to_visual: !function utils.doc_to_visual
doc_to_text: !function utils.doc_to_text
doc_to_target: answer
generation_kwargs:
  max_new_tokens: 16
process_results: !function utils.process_results
metric_list:
  - metric: right
    aggregation: mean
    higher_is_better: true
metadata:
  - version: 0.0
"""
_UTILS = """\
import io

from PIL import Image


def doc_to_visual(doc):
    image = doc["image"]
    if isinstance(image, dict):
        image = Image.open(io.BytesIO(image["bytes"]))
    return [image.convert("RGB")]


def doc_to_text(doc, lmms_eval_specific_kwargs=None):
    return doc["question"]


def process_results(doc, results):
    return {"right": float(results[0].strip() == doc["answer"])}
"""


def write_task(folder: Path, answers: tuple[str, str]) -> None:
    """Writes the task; `answers` are right."""
    import pyarrow
    import pyarrow.parquet

    invoice = Path(latentvlm.__file__).parent / "data" / "samples" / "invoice.png"
    picture = {"bytes": invoice.read_bytes(), "path": None}
    columns = {"image": [picture] * 2, "question": QUESTIONS, "answer": answers}
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "test.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), table)
    (folder / f"{NAME}.yaml").write_text(_YAML.format(name=NAME, table=table), encoding="utf-8")
    (folder / "utils.py").write_text(_UTILS, encoding="utf-8")
