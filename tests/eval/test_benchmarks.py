"""Every benchmark reads its published layouts, asks with its prompt and grades right as right."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.benchmark_files import (
    LAYOUTS,
    RIGHT,
    docvqa_json,
    docvqa_parquet,
    docvqa_shards,
    picture,
    put,
    put_json,
    put_tar,
)

from latentvlm.errors import ConfigError, DataError, MediaError
from latentvlm.eval.benchmarks import BENCHMARKS, load_benchmark
from latentvlm.eval.benchmarks.folder import start_questions
from latentvlm.eval.benchmarks.question import gold_of
from latentvlm.eval.media import from_ref
from latentvlm.eval.metrics import METRICS
from latentvlm.eval.pages import pictures

CASES = [(name, write) for name, writers in LAYOUTS.items() for write in writers]
VIDEOS = {"video_mme", "mlvu", "mvbench", "longvideobench", "egoschema", "tempcompass"}


def test_every_benchmark_has_a_layout_here() -> None:
    assert set(LAYOUTS) == set(RIGHT) == set(BENCHMARKS)


@pytest.mark.parametrize(("name", "write"), CASES, ids=[write.__name__ for _, write in CASES])
def test_a_published_layout_is_read_asked_and_graded(
    name: str, write: Callable[[Path], None], tmp_path: Path
) -> None:
    write(tmp_path)
    loaded = load_benchmark(BENCHMARKS[name], tmp_path)
    assert not loaded.bad
    questions = sorted(loaded.questions, key=lambda each: each.id)
    assert len(questions) == len(RIGHT[name])
    assert loaded.files and all(len(digest) == 64 for digest in loaded.files.values())
    for question, reply in zip(questions, RIGHT[name], strict=True):
        assert "{" not in question.text and question.text
        assert METRICS[question.metric].grade(reply, question.gold).score > 0.99, question.id
        assert METRICS[question.metric].grade("zebra", question.gold).score < 0.6, question.id
        about = json.loads(json.dumps(question.about()))
        assert METRICS[about["metric"]].grade(reply, gold_of(about)).score > 0.99
        assert question.media
        for medium in question.media:
            again = from_ref(json.loads(json.dumps(medium.ref())))
            assert again == medium and len(medium.sha256()) == 64
        shown = pictures(question.media)
        assert len(shown) >= len(question.media)
        assert shown[0][1].endswith(" s") == (name in VIDEOS)


def test_prompts_are_the_published_ones(tmp_path: Path) -> None:
    wanted = {
        "docvqa": "What is the total?\nAnswer the question using a single word or phrase.",
        "textvqa": "What is the brand?\nAnswer the question using a single word or phrase.",
        "mmmu": "Whose is <image 1>?\nA. Monet\nB. D'Or\n\nAnswer with the option's letter from "
        "the given choices directly.",
        "mvbench": "Question: Which way?\nOption:\n(A) Left\n(B) Right\nOnly give the best option.",
        "chartqapro": "Context: Some text.\n\nWhich year?\n"
        "Answer the question with a short phrase.",
    }
    for name, text in wanted.items():
        LAYOUTS[name][0](tmp_path / name)
        loaded = load_benchmark(BENCHMARKS[name], tmp_path / name)
        assert loaded.questions[0].text == text
    LAYOUTS["tempcompass"][0](tmp_path / "tempcompass")
    asked = {
        each.text
        for each in load_benchmark(BENCHMARKS["tempcompass"], tmp_path / "tempcompass").questions
    }
    captions = "Which caption?\nCaption A: a cat\nCaption B: a dog"
    assert f"{captions}\nPlease directly give the best option:" in asked
    assert "Q1: How much?\nA1: 5\nQ2: And then?" in loaded.questions[1].text


@pytest.mark.parametrize("name", sorted(BENCHMARKS))
def test_an_absent_benchmark_says_what_to_put_where(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match="has no .*put there.*--data"):
        load_benchmark(BENCHMARKS[name], tmp_path)
    monkeypatch.setenv("LATENTVLM_BENCHMARKS", str(tmp_path / "home"))
    with pytest.raises(DataError, match=f"home/{name} is not there: for .*"):
        load_benchmark(BENCHMARKS[name])


def test_bad_rows_are_named_and_the_others_go_on(tmp_path: Path) -> None:
    docvqa_json(tmp_path)
    path = tmp_path / "val_v1.0_withQT.json"
    rows = json.loads(path.read_text())["data"]
    base = rows[0]
    bad = [
        ({**base, "questionId": 1, "answers": []}, "it has no answers"),
        ({**base, "questionId": 2, "answers": None}, "it has no answers"),
        ({**base, "questionId": 3, "image": "documents/gone.png"}, "there is no documents/gone"),
        ({**base, "questionId": 4, "question": " "}, "it has no question"),
        ({**base}, "the id docvqa/40 is there already"),
        ("nonsense", "it is no object"),
    ]
    numeric = {**base, "questionId": 5, "answers": [12, 12.5]}
    put_json(path, {"data": rows + [row for row, _ in bad] + [numeric]})
    loaded = load_benchmark(BENCHMARKS["docvqa"], tmp_path)
    assert [each.id for each in loaded.questions] == ["docvqa/40", "docvqa/41", "docvqa/5"]
    assert loaded.questions[2].gold.answers == ("12", "12.5")
    assert len(loaded.bad) == len(bad)
    for found, (_, reason) in zip(loaded.bad, bad, strict=True):
        assert reason in found.reason
        assert found.where.startswith("val_v1.0_withQT.json row ")


def test_lines_and_shards_that_are_broken_lose_only_themselves(tmp_path: Path) -> None:
    row = {"file": "p.png", "question": "What?", "answer": "x"}
    put(tmp_path / "p.png", picture())
    lines = [json.dumps(row), "{broken", "", "[1]", json.dumps({**row, "id": "last"})]
    put(tmp_path / "questions.jsonl", "\n".join(lines))
    loaded = load_benchmark(BENCHMARKS["folder"], tmp_path)
    assert [each.id for each in loaded.questions] == ["1", "last"]
    assert [each.where for each in loaded.bad] == [
        "questions.jsonl row 2",
        "questions.jsonl row 4",
    ]
    docvqa_shards(tmp_path / "wds")
    shard = tmp_path / "wds" / "val-000000.tar"
    cut = shard.read_bytes()[:2100]
    shard.write_bytes(cut)
    with pytest.raises(DataError, match="breaks off|no question"):
        load_benchmark(BENCHMARKS["docvqa"], tmp_path / "wds")
    put_tar(shard, {"0.json": b"{", "0.png": picture(), "1.json": b"[]", "1.png": picture()})
    with pytest.raises(DataError, match="no question of DocVQA that can be asked.*cannot be read"):
        load_benchmark(BENCHMARKS["docvqa"], tmp_path / "wds")


def test_a_table_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    put(tmp_path / "DocVQA" / "validation-0.parquet", b"PAR1 nonsense")
    with pytest.raises(DataError, match=r"validation-0\.parquet cannot be read as parquet"):
        load_benchmark(BENCHMARKS["docvqa"], tmp_path)
    put(tmp_path / "json" / "val_v1.0.json", b"{")
    with pytest.raises(DataError, match=r"val_v1\.0\.json is no JSON"):
        load_benchmark(BENCHMARKS["docvqa"], tmp_path / "json")


def test_a_choice_whose_answer_names_no_option_is_a_bad_row(tmp_path: Path) -> None:
    put(tmp_path / "p.png", picture())
    rows = "file,question,options,answer\np.png,Which?,cat|dog,bird\np.png,Which?,cat|dog,b\n"
    put(tmp_path / "questions.csv", rows)
    loaded = load_benchmark(BENCHMARKS["folder"], tmp_path)
    assert loaded.questions[0].gold.answers == ("B",)
    assert "names none of its 2 options" in loaded.bad[0].reason


def test_a_limit_a_split_and_a_prompt_are_obeyed(tmp_path: Path) -> None:
    docvqa_parquet(tmp_path)
    benchmark = BENCHMARKS["docvqa"]
    loaded = load_benchmark(benchmark, tmp_path, limit=1, prompt="{question} Briefly.")
    assert [each.text for each in loaded.questions] == ["What is the total? Briefly."]
    assert loaded.benchmark.prompt_hash() != benchmark.prompt_hash()
    for wrong, said in (
        ({"limit": 0}, "limit is 0"),
        ({"split": "dev"}, "no split 'dev'; it has validation"),
        ({"prompt": "{what}"}, "cannot be filled in"),
    ):
        with pytest.raises(ConfigError, match=said):
            load_benchmark(benchmark, tmp_path, **wrong)


def test_pictures_of_parquet_stay_on_disk_until_they_are_shown(tmp_path: Path) -> None:
    docvqa_parquet(tmp_path)
    loaded = load_benchmark(BENCHMARKS["docvqa"], tmp_path)
    (medium,) = loaded.questions[1].media
    assert medium.read() == picture(1)
    path = next((tmp_path / "DocVQA").iterdir())
    path.rename(path.with_suffix(".moved"))
    (other,) = load_files_elsewhere(tmp_path)
    with pytest.raises(MediaError, match="cannot be read"):
        other.read()


def load_files_elsewhere(folder: Path):
    """A reference to a parquet file that was moved away."""
    gone = {"path": str(folder / "gone.parquet"), "row": 0, "column": "image", "item": -1}
    yield from_ref({"parquet": gone})


def test_questions_of_a_folder_of_ones_own_start_from_its_documents(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no documents"):
        start_questions(tmp_path)
    put(tmp_path / "b" / "page.png", picture())
    put(tmp_path / "notes.txt", "no document")
    path = start_questions(tmp_path)
    assert path.read_text().splitlines() == ["file,question,answer,kind", "b/page.png,,,"]
    with pytest.raises(ConfigError, match="is there already"):
        start_questions(tmp_path)
    with pytest.raises(DataError, match="its question is empty|it has no question"):
        load_benchmark(BENCHMARKS["folder"], tmp_path)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("file,qestion,answer", "it has no question; its columns are file, qestion, answer; is"),
        ("file,question,answer,metric", "there is no metric 'anlz'; did you mean anls"),
    ],
)
def test_a_wrong_column_is_named_with_the_nearest(head: str, said: str, tmp_path: Path) -> None:
    put(tmp_path / "p.png", picture())
    put(tmp_path / "questions.csv", f"{head}\np.png,What?,x,anlz\n".replace(
        ",anlz", ",anlz" if head.count(",") == 3 else ""))  # fmt: skip
    with pytest.raises(DataError, match="no question of own documents") as error:
        load_benchmark(BENCHMARKS["folder"], tmp_path)
    assert said in str(error.value)


def test_a_spreadsheet_with_semicolons_and_other_names_of_columns_is_read(tmp_path: Path) -> None:
    put(tmp_path / "p.png", picture())
    put(tmp_path / "mine.csv", "﻿Document;Q;Expected\n".lower() + "p.png;Wer?;Müller\n")
    (question,) = load_benchmark(BENCHMARKS["folder"], tmp_path).questions
    assert question.text == "Wer?" and question.gold.answers == ("Müller",)
