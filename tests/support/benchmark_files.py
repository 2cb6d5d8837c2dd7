"""Small files of exactly the layout in which each benchmark is published.

`LAYOUTS` has, by benchmark, functions that write one layout into a folder; every one holds the same
two or three questions, and `RIGHT` the replies that are right, by benchmark in their order.
"""

import csv
import io
import json
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from latentvlm.data.media.open import open_media

PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def picture(seed: int = 0, kind: str = "PNG") -> bytes:
    """A small picture; another seed, another picture."""
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def put(path: Path, data: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)


def put_json(path: Path, value: Any) -> None:
    put(path, json.dumps(value))


def put_parquet(path: Path, rows: Sequence[dict[str, Any]], *, pictures: Sequence[str]) -> None:
    """Rows as Hugging Face writes them: a picture is a struct of bytes and path."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    arrays = {}
    for name in columns:
        values = [row.get(name) for row in rows]
        if name in pictures:
            cells = [None if v is None else {"bytes": v, "path": f"{name}.png"} for v in values]
            arrays[name] = pa.array(cells, PICTURE)
        else:
            arrays[name] = pa.array(values)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(arrays), path, row_group_size=2)


def put_tar(path: Path, members: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def video(path: Path, seed: int = 0) -> None:
    """A clip of four frames; a GIF under any name is told by its content."""
    frames = [Image.open(io.BytesIO(picture(seed + idx))) for idx in range(4)]
    path.parent.mkdir(parents=True, exist_ok=True)
    frames[0].save(path, "GIF", save_all=True, append_images=frames[1:], duration=500)


def pdf(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pages = [Image.open(io.BytesIO(picture(idx))) for idx in range(2)]
    pages[0].save(path, "PDF", save_all=True, append_images=pages[1:])
    assert len(open_media(path)) == 2


QUESTIONS = [("What is the total?", ["12.50", "12,50"]), ("Who signed?", ["A. Smith"])]


def docvqa_parquet(folder: Path, name: str = "DocVQA") -> None:
    rows = [
        {
            "questionId": str(40 + idx),
            "question": question,
            "question_types": ["form"],
            "image": picture(idx),
            "docId": 7,
            "answers": answers,
        }
        for idx, (question, answers) in enumerate(QUESTIONS)
    ]
    put_parquet(folder / name / "validation-00000-of-00001.parquet", rows, pictures=["image"])


def docvqa_json(folder: Path) -> None:
    data = [
        {
            "questionId": 40 + idx,
            "question": question,
            "question_types": ["form"],
            "image": f"documents/p_{idx}.png",
            "docId": 7,
            "answers": answers,
            "data_split": "val",
        }
        for idx, (question, answers) in enumerate(QUESTIONS)
    ]
    for idx in range(2):
        put(folder / "documents" / f"p_{idx}.png", picture(idx))
    put_json(folder / "val_v1.0_withQT.json", {"dataset_name": "x", "data": data})


def docvqa_shards(folder: Path) -> None:
    members = {}
    for idx, (question, answers) in enumerate(QUESTIONS):
        row = {"questionId": 40 + idx, "question": question, "answers": answers}
        members[f"{idx:06d}.json"] = json.dumps(row).encode()
        members[f"{idx:06d}.png"] = picture(idx)
    put_tar(folder / "val-000000.tar", members)


def infovqa_parquet(folder: Path) -> None:
    docvqa_parquet(folder, "InfographicVQA")


def infovqa_json(folder: Path) -> None:
    data = [
        {
            "questionId": 40 + idx,
            "question": question,
            "image_local_name": f"{idx}.jpeg",
            "answers": answers,
            "answer_type": ["single span"],
        }
        for idx, (question, answers) in enumerate(QUESTIONS)
    ]
    for idx in range(2):
        put(folder / "infographicsvqa_images" / f"{idx}.jpeg", picture(idx, "JPEG"))
    put_json(folder / "infographicsVQA_val_v1.0_withQT.json", {"data": data})


def chartqa_parquet(folder: Path) -> None:
    rows = [
        {"type": kind, "question": "How many?", "answer": answer, "image": picture(idx)}
        for idx, (kind, answer) in enumerate((("human_test", "12"), ("augmented_test", "0.4")))
    ]
    path = folder / "data" / "test-00000-of-00001.parquet"
    put_parquet(path, rows, pictures=["image"])


def chartqa_json(folder: Path) -> None:
    for kind, answer in (("human", "12"), ("augmented", "0.4")):
        row = {"imgname": f"{kind}.png", "query": "How many?", "label": answer}
        put_json(folder / "test" / f"test_{kind}.json", [row])
        put(folder / "test" / "png" / f"{kind}.png", picture())


def chartqapro_parquet(folder: Path) -> None:
    def row(questions, answers, kind, years, paragraph=""):
        return {
            "Question": questions,
            "Answer": answers,
            "Question Type": kind,
            "image": picture(),
            "Year": years,
            "Paragraph": paragraph,
        }

    rows = [
        row(["Which year?"], ["2012"], "Factoid", ["YES"], "Some text."),
        row(["How much?", "And then?"], ["5", "7"], "Conversational", ["NO", "NO"]),
    ]
    table = pa.Table.from_pylist(
        rows,
        pa.schema(
            [
                ("Question", pa.list_(pa.string())),
                ("Answer", pa.list_(pa.string())),
                ("Question Type", pa.string()),
                ("image", pa.binary()),
                ("Year", pa.list_(pa.string())),
                ("Paragraph", pa.string()),
            ]
        ),
    )
    (folder / "data").mkdir(parents=True)
    pq.write_table(table, folder / "data" / "test-00000-of-00001.parquet")


def textvqa_parquet(folder: Path) -> None:
    rows = [
        {
            "image_id": "a1",
            "question_id": 34602,
            "question": "what is the Brand?",
            "image": picture(),
            "answers": ["nokia"] * 9 + ["no"],
        }
    ]
    path = folder / "data" / "validation-00000-of-00001.parquet"
    put_parquet(path, rows, pictures=["image"])


def textvqa_json(folder: Path) -> None:
    row = {"question": "what is the Brand?", "image_id": "a1", "question_id": 34602}
    put_json(folder / "TextVQA_0.5.1_val.json", {"data": [{**row, "answers": ["nokia"] * 10}]})
    put(folder / "train_images" / "a1.jpg", picture(0, "JPEG"))


def ocrbench_parquet(folder: Path) -> None:
    rows = [
        {
            "dataset": dataset,
            "question": "what is written?",
            "question_type": kind,
            "answer": answer,
            "image": picture(idx),
        }
        for idx, (dataset, kind, answer) in enumerate(
            (
                ("IIIT5K", "Regular Text Recognition", ["CENTRE"]),
                ("HME100k", "Handwritten Mathematical Expression Recognition", ["x ^ 2"]),
            )
        )
    ]
    put_parquet(folder / "data" / "test-00000.parquet", rows, pictures=["image"])


def ocrbench_json(folder: Path) -> None:
    rows = [
        {
            "dataset_name": dataset,
            "id": idx,
            "question": "what is written?",
            "answers": answer,
            "type": kind,
            "image_path": f"{dataset}/{idx}.png",
        }
        for idx, (dataset, kind, answer) in enumerate(
            (("IIIT5K", "Regular", "CENTRE"), ("HME100k", "Handwritten", "x ^ 2"))
        )
    ]
    put_json(folder / "OCRBench.json", rows)
    for row in rows:
        put(folder / "OCRBench_Images" / row["image_path"], picture(row["id"]))


def ocrbench_v2_parquet(folder: Path) -> None:
    base = {"dataset_name": "x", "image": picture(), "eval": None, "bbox": None, "content": None}
    rows = [
        {**base, "id": 0, "type": "text grounding en", "question": "Where?",
         "answers": ["10", "10", "20", "20"]},
        {**base, "id": 1, "type": "key information extraction en", "question": "Which?",
         "answers": ['{"total": ["5"]}']},
        {**base, "id": 2, "type": "text spotting en", "question": "All?", "answers": ["x"],
         "bbox": "[[1, 1, 9, 1, 9, 9, 1, 9]]", "content": "['word']"},
    ]  # fmt: skip
    put_parquet(folder / "data" / "test-00000.parquet", rows, pictures=["image"])


def ocrbench_v2_json(folder: Path) -> None:
    rows = [
        {"id": 0, "type": "text grounding en", "question": "Where?", "answers": [10, 10, 20, 20],
         "image_path": "a/0.png"},
        {"id": 1, "type": "key information extraction en", "question": "Which?",
         "answers": [{"total": ["5"]}], "image_path": "a/0.png"},
        {"id": 2, "type": "text spotting en", "question": "All?", "answers": ["x"],
         "bbox": [[1, 1, 9, 1, 9, 9, 1, 9]], "content": ["word"], "image_path": "a/0.png"},
    ]  # fmt: skip
    put_json(folder / "OCRBench_v2.json", rows)
    put(folder / "a" / "0.png", picture())


def ai2d_parquet(folder: Path) -> None:
    rows = [
        {"question": "Which?", "options": ["leaf", "root", "stem"], "answer": answer,
         "image": picture(idx)}
        for idx, answer in enumerate(("2", "0"))
    ]  # fmt: skip
    put_parquet(folder / "data" / "test-00000.parquet", rows, pictures=["image"])


def mmmu_parquet(folder: Path) -> None:
    pictures = [f"image_{idx}" for idx in range(1, 8)]
    base = {name: None for name in pictures}
    rows = [
        {**base, "id": "validation_Art_1", "question": "Whose is <image 1>?",
         "options": "['Monet', \"D'Or\"]", "answer": "B", "image_1": picture(1),
         "image_2": picture(2), "question_type": "multiple-choice"},
        {**base, "id": "validation_Art_2", "question": "How long?", "options": "[]",
         "answer": "8.5", "image_1": picture(3), "question_type": "open"},
    ]  # fmt: skip
    put_parquet(folder / "Art" / "validation-00000.parquet", rows, pictures=pictures)


def _mmlongbench_rows() -> list[dict[str, Any]]:
    return [
        {"doc_id": "a.pdf", "doc_type": "Brochure", "question": "How many?", "answer": "3",
         "evidence_pages": "[1]", "evidence_sources": "['Chart']", "answer_format": "Int"},
        {"doc_id": "a.pdf", "doc_type": "Brochure", "question": "Who?",
         "answer": "Not answerable", "evidence_pages": "[]", "evidence_sources": "[]",
         "answer_format": "None"},
    ]  # fmt: skip


def mmlongbench_parquet(folder: Path) -> None:
    put_parquet(folder / "data" / "train-00000.parquet", _mmlongbench_rows(), pictures=[])
    pdf(folder / "documents" / "a.pdf")


def mmlongbench_json(folder: Path) -> None:
    put_json(folder / "samples.json", _mmlongbench_rows())
    pdf(folder / "documents" / "a.pdf")


def dude_json(folder: Path) -> None:
    base = {"docId": "d1", "data_split": "val", "answers_variants": []}
    rows = [
        {**base, "questionId": "d1_1", "question": "Which?", "answers": ["Blue"],
         "answer_type": "extractive"},
        {**base, "questionId": "d1_2", "question": "When?", "answers": [],
         "answer_type": "not-answerable"},
        {**base, "questionId": "d1_3", "question": "Train?", "answers": ["x"],
         "answer_type": "extractive", "data_split": "train"},
    ]  # fmt: skip
    put_json(folder / "2023-03-23_DUDE_gt_test_PUBLIC.json", {"data": rows})
    pdf(folder / "PDF" / "val" / "d1.pdf")


def slidevqa_parquet(folder: Path) -> None:
    pictures = [f"page_{idx}" for idx in range(1, 21)]
    row: dict[str, Any] = {name: None for name in pictures}
    row |= {"deck_name": "deck", "qa_id": 11, "question": "How?", "answer": "Slowly",
            "arithmetic_expression": "None", "evidence_pages": [2],
            "page_1": picture(1), "page_2": picture(2)}  # fmt: skip
    put_parquet(folder / "data" / "val-00000.parquet", [row], pictures=pictures)


def mp_docvqa_parquet(folder: Path) -> None:
    pictures = [f"image_{idx}" for idx in range(1, 21)]
    row: dict[str, Any] = {name: None for name in pictures}
    row |= {"questionId": "9", "question": "How?", "doc_id": "d", "page_ids": "['d_p0', 'd_p1']",
            "answers": "['Slowly']", "answer_page_idx": "1", "image_1": picture(0),
            "image_2": picture(1)}  # fmt: skip
    put_parquet(folder / "data" / "val-00000.parquet", [row], pictures=pictures)


def mp_docvqa_json(folder: Path) -> None:
    row = {"questionId": 9, "question": "How?", "doc_id": "d", "page_ids": ["d_p0", "d_p1"],
           "answers": ["Slowly"], "answer_page_idx": 1}  # fmt: skip
    put_json(folder / "val.json", {"data": [row]})
    for idx in range(2):
        put(folder / "images" / f"d_p{idx}.jpg", picture(idx, "JPEG"))


def omnidocbench_json(folder: Path) -> None:
    blocks = [
        {"category_type": "text_block", "order": 2, "anno_id": 5, "text": "goes on",
         "ignore": False},
        {"category_type": "title", "order": 1, "anno_id": 1, "text": "Title"},
        {"category_type": "figure", "order": 4, "anno_id": 3, "text": "no"},
        {"category_type": "text_block", "order": 3, "anno_id": 6, "text": "here."},
    ]  # fmt: skip
    row = {
        "layout_dets": blocks,
        "page_info": {
            "image_path": "a.jpg",
            "page_attribute": {"data_source": "book", "language": "english"},
        },
        "extra": {
            "relation": [{"source_anno_id": 5, "target_anno_id": 6, "relation_type": "truncated"}]
        },
    }
    put_json(folder / "OmniDocBench.json", [row])
    put(folder / "images" / "a.jpg", picture(0, "JPEG"))


def video_mme_parquet(folder: Path) -> None:
    row = {"video_id": "001", "duration": "short", "domain": "Knowledge", "videoID": "fFjv93",
           "question_id": "001-1", "task_type": "Counting Problem", "question": "How many?",
           "options": ["A. One.", "B. Two.", "C. Three.", "D. Four."],
           "answer": "C"}  # fmt: skip
    put_parquet(folder / "videomme" / "test-00000.parquet", [row], pictures=[])
    video(folder / "data" / "fFjv93.mp4")


def mlvu_json(folder: Path) -> None:
    for name, kind in (("1_plotQA", "plotQA"), ("4_count", "count")):
        row = {"video": "v.mp4", "duration": 10, "question": "Which?", "candidates": ["x", "y"],
               "answer": "y", "question_type": kind}  # fmt: skip
        put_json(folder / "json" / f"{name}.json", [row])
        video(folder / "video" / name / "v.mp4")


def mvbench_json(folder: Path) -> None:
    row = {"video": "v.mp4", "question": "Which way?", "candidates": ["Left", "Right"],
           "answer": "Right"}  # fmt: skip
    put_json(folder / "json" / "moving_direction.json", [row])
    put_json(folder / "json" / "action_antonym.json", [row])
    video(folder / "clevrer" / "video_validation" / "v.mp4")
    video(folder / "video" / "ssv2_video_mp4" / "v.mp4")


def longvideobench_json(folder: Path) -> None:
    row = {"video_id": "v", "question": "When?", "candidates": ["now", "then", "never"],
           "correct_choice": 1, "id": "v_0", "video_path": "v.mp4", "subtitle_path": "v.json",
           "duration_group": 15, "question_category": "S2E", "duration": 2.0}  # fmt: skip
    put_json(folder / "lvb_val.json", [row])
    video(folder / "videos" / "v.mp4")


def longvideobench_parquet(folder: Path) -> None:
    row = {"video_id": "v", "question": "When?", "option0": "now", "option1": "then",
           "option2": "never", "option3": "N/A", "option4": "N/A", "correct_choice": 1,
           "id": "v_0", "video_path": "v.mp4", "duration_group": 15}  # fmt: skip
    put_parquet(folder / "data" / "validation-00000.parquet", [row], pictures=[])
    video(folder / "videos" / "v.mp4")


def egoschema_parquet(folder: Path) -> None:
    row = {"question_idx": "0", "question": "Why?", "video_idx": "u1",
           "option": ["A. a", "B. b", "C. c", "D. d", "E. e"], "answer": "4"}  # fmt: skip
    put_parquet(folder / "Subset" / "test-00000.parquet", [row], pictures=[])
    video(folder / "videos" / "u1.mp4")


def egoschema_json(folder: Path) -> None:
    options = {f"option {idx}": letter for idx, letter in enumerate("abcde")}
    rows = [{"q_uid": uid, "question": "Why?", **options} for uid in ("u1", "u2")]
    put_json(folder / "questions.json", rows)
    put_json(folder / "subset_answers.json", {"u1": 4})
    video(folder / "videos" / "u1.mp4")


_CHOICE = "What moves?\nA. cat\nB. dog"
_CAPTIONS = "Which caption?\nCaption A: a cat\nCaption B: a dog"


def tempcompass_parquet(folder: Path) -> None:
    for task, question, answer in (
        ("multi-choice", _CHOICE, "B. dog"),
        ("yes_no", "Does it move?", "yes"),
        ("caption_matching", _CAPTIONS, "Caption A: a cat"),
    ):
        row = {"video_id": "1", "question": question, "answer": answer, "dim": "speed"}
        put_parquet(folder / task / "test-00000.parquet", [row], pictures=[])
    put_parquet(
        folder / "captioning" / "test-00000.parquet",
        [{"video_id": "1", "question": "?", "answer": "x", "dim": "speed"}],
        pictures=[],
    )
    video(folder / "videos" / "1.mp4")


def tempcompass_json(folder: Path) -> None:
    for task, question, answer in (
        ("multi-choice", _CHOICE, "B. dog"),
        ("yes_no", "Does it move?", "yes"),
        ("caption_matching", _CAPTIONS, "Caption A: a cat"),
    ):
        entry = {"question": question, "answer": answer}
        put_json(folder / "questions" / f"{task}.json", {"1": {"speed": [entry]}})
    video(folder / "videos" / "1.mp4")


def folder_csv(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "questions.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "question", "answer", "pages", "options", "kind"])
        rows.writerow(["a.pdf", "What is the total?", "1,234.50 | 1234", "2", "", "money"])
        rows.writerow(["scans/*.png", "Which?", "dog", "", "cat | dog", "choice"])
    pdf(folder / "a.pdf")
    for idx in range(2):
        put(folder / "scans" / f"{idx}.png", picture(idx))


def folder_jsonl(folder: Path) -> None:
    rows = [
        {"file": "a.pdf", "question": "What is the total?", "answer": ["1,234.50", "1234"],
         "pages": "2", "kind": "money"},
        {"file": ["scans/0.png", "scans/1.png"], "question": "Which?", "answer": "B",
         "options": ["cat", "dog"], "kind": "choice"},
    ]  # fmt: skip
    put(folder / "questions.jsonl", "\n".join(map(json.dumps, rows)) + "\n")
    pdf(folder / "a.pdf")
    for idx in range(2):
        put(folder / "scans" / f"{idx}.png", picture(idx))


LAYOUTS: dict[str, list[Callable[[Path], None]]] = {
    "docvqa": [docvqa_parquet, docvqa_json, docvqa_shards],
    "infovqa": [infovqa_parquet, infovqa_json],
    "chartqa": [chartqa_parquet, chartqa_json],
    "chartqapro": [chartqapro_parquet],
    "textvqa": [textvqa_parquet, textvqa_json],
    "ocrbench": [ocrbench_parquet, ocrbench_json],
    "ocrbench_v2": [ocrbench_v2_parquet, ocrbench_v2_json],
    "ai2d": [ai2d_parquet],
    "mmmu": [mmmu_parquet],
    "mmlongbench_doc": [mmlongbench_parquet, mmlongbench_json],
    "dude": [dude_json],
    "slidevqa": [slidevqa_parquet],
    "mp_docvqa": [mp_docvqa_parquet, mp_docvqa_json],
    "omnidocbench": [omnidocbench_json],
    "video_mme": [video_mme_parquet],
    "mlvu": [mlvu_json],
    "mvbench": [mvbench_json],
    "longvideobench": [longvideobench_json, longvideobench_parquet],
    "egoschema": [egoschema_parquet, egoschema_json],
    "tempcompass": [tempcompass_parquet, tempcompass_json],
    "folder": [folder_csv, folder_jsonl],
}

# The replies that are right, in the order of the ids.
RIGHT = {
    "docvqa": ["12.50", "a. smith"],
    "infovqa": ["12.50", "a. smith"],
    "chartqa": ["0.41", "12"],
    "chartqapro": ["2012", "7"],
    "textvqa": ["Nokia"],
    "ocrbench": ["It says CENTRE", "x^2"],
    "ocrbench_v2": ["[10, 10, 20, 20]", '{"total": "5"}', "[[1, 1, 9, 9, 'word']]"],
    "ai2d": ["C", "A."],
    "mmmu": ["(B)", "8.5"],
    "mmlongbench_doc": ["3", "Not answerable"],
    "dude": ["blue", "Not answerable"],
    "slidevqa": ["slowly"],
    "mp_docvqa": ["slowly"],
    "omnidocbench": ["Title\ngoes on here."],
    "video_mme": ["C"],
    "mlvu": ["(B) y", "B"],
    "mvbench": ["(B)", "B"],
    "longvideobench": ["B. then"],
    "egoschema": ["E"],
    "tempcompass": ["A", "B. dog", "Yes."],
    "folder": ["$1,234.50", "B"],
}
