"""A table from a folder of documents: whole, resumed, and with the bad files named."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from latentvlm.app.cli import main
from latentvlm.vlm.vlm import VLM

SAMPLE = Path(__file__).parents[2] / "data" / "samples" / "invoice.png"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    documents = tmp_path / "documents"
    (documents / "more").mkdir(parents=True)
    shutil.copy(SAMPLE, documents / "a.png")
    shutil.copy(SAMPLE, documents / "more" / "b.png")
    (documents / "c.pdf").write_bytes(b"")
    (documents / "notes.txt").write_text("no document")
    return documents


def run(capsys: pytest.CaptureFixture, *arguments: object) -> tuple[object, str, str]:
    with pytest.raises(SystemExit) as exit:
        main(["extract", *map(str, arguments)])
    return exit.value.code, *capsys.readouterr()


def rows_of(path: Path) -> list[dict]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_becomes_a_table(folder: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "t.csv"
    code, told, err = run(capsys, folder, "--fields", "total:number", "-o", out, "--json")
    assert code == 3, "a document was left out"
    wanted = {"documents": 2, "new": 2, "failed": 1, "out": str(out)}
    assert json.loads(told) == wanted
    assert "left out: " in err and "c.pdf is empty" in err
    rows = rows_of(out)
    assert [Path(row["file"]).name for row in rows] == ["a.png", "b.png"]
    assert all(row["total"] == "28.21" and 0 < float(row["total_confidence"]) <= 1 for row in rows)
    assert sorted(path.name for path in tmp_path.glob("t*")) == ["t.csv"]


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_what_stands_in_the_table_is_not_asked_again(
    folder: Path, tmp_path: Path, capsys, monkeypatch, name: str
) -> None:
    out = tmp_path / name
    run(capsys, folder / "a.png", "--fields", "total", "-o", out)
    asked = []
    real = VLM.extract

    def counted(self, fields, *media, **options):
        asked.append(Path(media[0]).name)
        return real(self, fields, *media, **options)

    monkeypatch.setattr(VLM, "extract", counted)
    code, told, _ = run(capsys, folder, "--fields", "total", "-o", out)
    assert code == 3 and asked == ["c.pdf", "b.png"]
    assert told == f"2 documents in {out}, 1 of them new; 1 left out.\n"


def test_parquet_holds_the_same_rows_and_goes_on(folder: Path, tmp_path: Path, capsys) -> None:
    from pyarrow import parquet

    out = tmp_path / "t.parquet"
    run(capsys, folder / "a.png", "--fields", "total:number", "-o", out)
    code, told, _ = run(capsys, folder, "--fields", "total:number", "-o", out)
    rows = parquet.read_table(out).to_pylist()
    assert code == 3 and "1 of them new" in told
    assert [row["total"] for row in rows] == [28.21, 28.21]


def test_a_run_that_was_cut_off_goes_on(folder: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "t.jsonl"
    run(capsys, folder / "a.png", "--fields", "total", "-o", out)
    whole = out.read_text()
    out.write_text(whole + '{"file": "half')
    code, _, _ = run(capsys, folder / "a.png", "--fields", "total", "-o", out)
    assert code == 0 and out.read_text() == whole


def test_a_schema_says_fields_and_types(folder: Path, tmp_path: Path, capsys) -> None:
    schema, out = tmp_path / "s.json", tmp_path / "t.jsonl"
    total = {"type": "number", "description": "What is the total?"}
    number = {"type": "string", "enum": ["A-1", "B-2"]}
    schema.write_text(json.dumps({"properties": {"total": total, "number": number}}))
    code, _, _ = run(capsys, folder / "a.png", "--schema", schema, "-o", out)
    row = json.loads(out.read_text())
    assert code == 0 and isinstance(row["total"], float) and row["total_page"] == 1
    assert row["number"] is None and row["number_page"] is None
    code, _, err = run(capsys, folder, "--fields", "date", "-o", out)
    assert code == 2 and "holds the fields number, total; give the same ones" in err


def test_what_cannot_be_is_said(folder: Path, tmp_path: Path, capsys) -> None:
    for arguments, message in [
        ((folder, "--fields", "a", "-o", "t.xls"), "t.xls must end in .csv, .jsonl, .parquet"),
        ((folder, "-o", tmp_path / "t.csv"), "needs a name"),
        ((tmp_path / "none", "--fields", "a"), "none does not exist"),
        ((folder / "more", "--schema", tmp_path / "s.json"), "s.json cannot be read as JSON"),
    ]:
        code, _, err = run(capsys, *arguments)
        assert code == 2 and message in err
