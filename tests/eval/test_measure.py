"""From a model to scores on disk, to the card, and by the command line with a real model folder."""

import json
import shutil
from pathlib import Path

import pytest
from support.responders import FakeResponder, truth_teller

from latentvlm.app.cli import main
from latentvlm.errors import ConfigError, DataError
from latentvlm.eval.card import percent, training_table, write_card
from latentvlm.eval.documents import document_samples
from latentvlm.eval.measure import MeasureConfig, measure, read_scores
from latentvlm.eval.responder import fingerprint

CONFIG = MeasureConfig(rungs=("line", "lines"), limit=10, controls=True, control_limit=3)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the scores of a perfect memory, and of a rival that always says the same."""
    folder = tmp_path_factory.mktemp("measured")
    model = truth_teller(document_samples(CONFIG.rungs, limit=10), confidence=0.95)
    calls: list[tuple[str, int, int]] = []
    measure(
        model,
        FakeResponder(lambda request: "Yes", name="yes"),
        folder,
        CONFIG,
        notify=lambda *call: calls.append(call),
    )
    assert ("model", 20, 20) in calls and ("rival", 1, 20) in calls
    assert any(what.startswith("controls") for what, *_ in calls)
    return folder


def test_the_scores_file_says_what_was_measured(measured: Path) -> None:
    scores = read_scores(measured)
    assert scores == read_scores(measured / "scores.json")
    assert scores["benchmark"]["rungs"]["line"]["questions"] == 10
    assert scores["model"]["scores"]["lines"]["all"]["exact"] == 1.0
    assert scores["model"]["calibration"]["above_0.9"] == {"n": 20, "exact": 1.0}
    assert scores["model"]["controls"]["blank"]["all"]["keeps"] == 1.0
    assert scores["rival"]["scores"]["line"]["all"]["exact"] == 0.0
    assert str(measured) not in json.dumps(scores)


def test_measuring_again_asks_nothing_and_gives_the_same(measured: Path) -> None:
    before = (measured / "scores.json").read_bytes()
    model = truth_teller(document_samples(CONFIG.rungs, limit=10), confidence=0.95)
    measure(model, FakeResponder(lambda request: "Yes", name="yes"), measured, CONFIG)
    assert model.asked == []
    assert (measured / "scores.json").read_bytes() == before


def test_there_must_be_something_to_measure(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="neither a model nor a rival"):
        measure(None, None, tmp_path, CONFIG)
    with pytest.raises(DataError, match=r"scores\.json cannot be read"):
        read_scores(tmp_path / "scores.json")
    (tmp_path / "scores.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match="holds no scores"):
        read_scores(tmp_path)


def test_the_card_is_filled_from_the_files_and_keeps_its_text(
    measured: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    entries = [
        {"kind": "train", "stage": "tower", "step": 50, "documents": 900, "seconds": 1800.0},
        {"kind": "evaluation", "stage": "tower", "step": 50, "documents": 900, "seconds": 1800.0},
        {"kind": "train", "stage": "lines", "step": 20, "documents": 2000, "seconds": 5400.0},
    ]
    log.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    path = write_card(tmp_path, [read_scores(measured)], logs=[log])
    card = path.read_text(encoding="utf-8")
    assert "| two or three lines | 10 | 100.0% | 100.0% | 0.0% |" in card
    assert "| lines | 20 | 1,100 | 1.00 |" in card
    assert "| together |  | 2,000 | 1.50 |" in card
    assert "Of 20 answers with a confidence above 0.9, 100.0% are exact." in card
    assert "| value redrawn |" in card and "The rival: yes." in card
    mine = card.replace("## Limits", "My own words.\n\n## Limits").replace("100.0%", "99.9%")
    path.write_text(mine, encoding="utf-8")
    write_card(tmp_path, [read_scores(measured)])
    again = path.read_text(encoding="utf-8")
    assert again.replace("My own words.\n\n", "") == card
    path.write_text("No marks.", encoding="utf-8")
    with pytest.raises(DataError, match="scores:begin"):
        write_card(tmp_path, [read_scores(measured)])


def test_scores_of_different_questions_do_not_mix(measured: Path, tmp_path: Path) -> None:
    ours = read_scores(measured)
    other = {**ours, "benchmark": {**ours["benchmark"], "hash": "0"}}
    with pytest.raises(DataError, match="different questions"):
        write_card(tmp_path, [ours, other])
    rival_only = {key: value for key, value in ours.items() if key != "model"}
    model_only = {key: value for key, value in ours.items() if key != "rival"}
    together = write_card(tmp_path, [rival_only, model_only]).read_text(encoding="utf-8")
    assert "this model: exact | this model: ANLS" in together and "rival: exact" in together


def test_a_log_that_is_none_is_named(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text("[]\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"log\.jsonl cannot be read as a training log"):
        training_table([log])
    log.write_text("", encoding="utf-8")
    with pytest.raises(DataError, match="no training steps"):
        training_table([log])
    assert percent(None) == "-"


def test_runs_that_followed_each_other_add_up(tmp_path: Path) -> None:
    entry = {"kind": "train", "step": 10, "documents": 1500, "seconds": 3600.0}
    for stage in ("first", "second"):
        line = json.dumps({**entry, "stage": stage}) + "\n"
        (tmp_path / stage).write_text(line, encoding="utf-8")
    table = training_table([tmp_path / "first", tmp_path / "second"])
    assert "| second | 10 | 1,500 | 1.00 |" in table and "| together |  | 3,000 | 2.00 |" in table


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    said = capsys.readouterr()
    return int(stop.value.code or 0), said.out, said.err


def test_the_command_measures_a_model_folder(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["eval", "run", "latentvlm-docs", "--model", str(tiny_folder), "--limit", "2"]
    arguments += ["--rung", "line", "--controls", "--out", str(tmp_path / "out")]
    code, out, err = run(capsys, *arguments, "--json")
    assert code == 0, err
    scores = json.loads(out)
    cell = scores["model"]["scores"]["line"]["all"]
    assert cell["n"] == 2 and cell["exact"] == 0.0 and cell["failed"] == 0
    assert scores["model"]["name"] == f"{tiny_folder.name} {fingerprint(tiny_folder)}"
    code, out, _ = run(capsys, *arguments)
    assert code == 0 and "one line" not in out and "line" in out and "0.0%" in out
    folder = tmp_path / "model"
    folder.mkdir()
    card = ["eval", "card", "--model", str(folder), "--scores", str(tmp_path / "out")]
    code, out, err = run(capsys, *card)
    assert code == 0, err
    assert "| one line, held-out fonts | 2 |" in (folder / "README.md").read_text("utf-8")


def test_a_wrong_benchmark_or_rung_is_one_sentence(
    tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["docs"], ["latentvlm-docs", "--rung", "x"], ["latentvlm-docs", "--limit", "0"]):
        code, _, err = run(capsys, "eval", "run", *words, "--model", str(tiny_folder))
        assert code == 2 and err.startswith("error: ") and err.count("\n") == 1


def test_the_fingerprint_follows_the_weights(tiny_folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_folder, copy)
    assert fingerprint(copy) == fingerprint(tiny_folder)
    (copy / "README.md").write_text("words", encoding="utf-8")
    assert fingerprint(copy) == fingerprint(tiny_folder)
    shard = next(copy.glob("*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"\x7f")
    assert fingerprint(copy) != fingerprint(tiny_folder)
