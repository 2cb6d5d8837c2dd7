"""A run survives being killed, is shared out, and gives the same score for the same manifest."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.benchmark_files import picture, put
from support.responders import FakeResponder

from latentvlm.errors import ConfigError, DataError, MediaError
from latentvlm.eval.benchmarks import BENCHMARKS, Loaded, load_benchmark
from latentvlm.eval.evaluate import RESPONSES_FILE, evaluate, rescore
from latentvlm.eval.manifest import make_manifest, manifest_id, read_manifest
from latentvlm.eval.responder import failed
from latentvlm.eval.response_log import ResponseLog, read_lines, shard_paths
from latentvlm.eval.runner import Share
from latentvlm.eval.samples import Request, Response

PROGRAM = Path(__file__).parents[1] / "support" / "slow_run.py"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_data(tmp_path / "data", 12)


def write_data(folder: Path, count: int) -> Path:
    """Questions whose right answer is the question itself, in two kinds, two about each page."""
    rows = ["file,question,answer,kind"]
    for idx in range(count):
        rows.append(f"{idx // 2}.png,Say {idx},Say {idx},{('even', 'odd')[idx % 2]}")
        put(folder / f"{idx // 2}.png", picture(idx // 2))
    put(folder / "questions.csv", "\n".join(rows) + "\n")
    return folder


def start(out: Path, data: Path, seconds: float, **environment: str) -> subprocess.Popen:
    tests = str(PROGRAM.parents[1])
    return subprocess.Popen(
        [sys.executable, PROGRAM, out, data, str(seconds)],
        env={**os.environ, "PYTHONPATH": tests, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.strip()


def answered(out: Path) -> list[str]:
    paths = shard_paths(out / RESPONSES_FILE)
    return [values["id"] for path in paths for _, values in read_lines(path)]


def test_a_killed_run_goes_on_and_asks_nothing_twice(tmp_path: Path, data: Path) -> None:
    out = tmp_path / "out"
    process = start(out, data, 0.05)
    while not (out / RESPONSES_FILE).exists() or len(answered(out)) < 4:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    before = answered(out)
    assert 4 <= len(before) < 12
    # As if it had been killed in the middle of a line.
    with (out / RESPONSES_FILE).open("ab") as file:
        file.write(b'{"id": "11", "text": "Sa')
    (out / "asked.txt").unlink()
    assert finish(start(out, data, 0)) == "whole"
    assert sorted(answered(out), key=int) == [str(idx) for idx in range(1, 13)]
    asked = (out / "asked.txt").read_text().split()
    assert sorted([*before, *asked], key=int) == [str(idx) for idx in range(1, 13)]
    assert json.loads((out / "result.json").read_text())["score"] == 1.0


def test_shares_are_asked_apart_and_the_last_one_scores(tmp_path: Path, data: Path) -> None:
    loaded = load_benchmark(BENCHMARKS["folder"], data)
    out, asked = tmp_path / "out", []
    for rank, world in ((0, 2), (0, 2), (2, 3), (1, 2), (0, 1)):
        responder = FakeResponder(lambda request: request.question)
        result = evaluate(
            loaded, responder, out, manifest_of(loaded), share=Share(rank=rank, world=world)
        )
        assert (result is not None) == (rank == 1 or world == 1)
        asked.append(responder.asked)
    # A second start asks nothing, and another number of processes only what is left.
    assert asked[0] == ["1", "3", "5", "7", "9", "11"] and asked[1] == []
    assert asked[2] == ["6", "12"] and asked[3] == ["2", "4", "8", "10"] and asked[4] == []
    assert len(shard_paths(out / RESPONSES_FILE)) == 3
    assert result is not None and result["score"] == 1.0


@pytest.mark.slow
def test_processes_share_a_run_and_the_last_one_scores_it(tmp_path: Path, data: Path) -> None:
    out = tmp_path / "out"
    share = [start(out, data, 0.02, RANK=str(rank), WORLD_SIZE="2") for rank in range(2)]
    said = {finish(process) for process in share}
    assert "whole" in said
    assert len(shard_paths(out / RESPONSES_FILE)) == 2
    assert sorted(answered(out), key=int) == [str(idx) for idx in range(1, 13)]
    asked = (out / "asked.txt").read_text().split()
    assert len(asked) == len(set(asked)) == 12
    result = json.loads((out / "result.json").read_text())
    assert (result["score"], result["n"]) == (1.0, 12)
    # Alone, it is the same run: nothing is left to ask.
    (out / "asked.txt").unlink()
    assert finish(start(out, data, 0)) == "whole"
    assert not (out / "asked.txt").exists()


def manifest_of(loaded: Loaded, **model) -> dict:
    return make_manifest(
        loaded, model={"name": "fake", **model}, decoding={"way": "greedy"}, shown={}
    )


def run(loaded: Loaded, out: Path, answer, *, manifest=None, **keywords):
    responder = FakeResponder(answer)
    result = evaluate(
        loaded, responder, out, manifest or manifest_of(loaded), share=Share(), **keywords
    )
    assert result is not None
    return result, responder


def test_the_same_manifest_gives_the_same_score(tmp_path: Path, data: Path) -> None:
    loaded = load_benchmark(BENCHMARKS["folder"], data)

    def answer(request: Request) -> str:
        return request.question if int(request.id) % 3 else "no"

    first, _ = run(loaded, tmp_path / "a", answer)
    elsewhere = write_data(tmp_path / "moved", 12)
    second, _ = run(load_benchmark(BENCHMARKS["folder"], elsewhere), tmp_path / "b", answer)
    first["cost"] = second["cost"] = {}
    assert first == second
    assert first["score"] == pytest.approx(8 / 12, abs=1e-6)
    assert 0.4 < first["low"] < first["score"] < first["high"] < 0.95
    manifest = read_manifest(tmp_path / "a")
    assert first["manifest"] == manifest["id"] == manifest_id(manifest)
    assert manifest["benchmark"]["sample_ids"] == [str(idx) for idx in range(1, 13)]
    assert list(manifest["benchmark"]["files"]) == ["questions.csv"]
    other = manifest_of(loaded, dtype="bfloat16")
    assert other["id"] != manifest["id"]
    put(elsewhere / "questions.csv", "file,question,answer\n0.png,Say 1,Say 2\n")
    changed = manifest_of(load_benchmark(BENCHMARKS["folder"], elsewhere))
    assert changed["id"] != manifest["id"]


def test_a_folder_with_another_run_is_refused(tmp_path: Path, data: Path) -> None:
    loaded = load_benchmark(BENCHMARKS["folder"], data)
    run(loaded, tmp_path / "out", lambda request: "x")
    before = (tmp_path / "out" / RESPONSES_FILE).read_bytes()
    other = load_benchmark(BENCHMARKS["folder"], data, prompt="{question}!")
    for changed, said in (
        (manifest_of(loaded, dtype="bfloat16"), "another model dtype"),
        (manifest_of(other), "another prompts"),
    ):
        with pytest.raises(DataError, match=said):
            run(loaded, tmp_path / "out", lambda request: "x", manifest=changed)
    assert (tmp_path / "out" / RESPONSES_FILE).read_bytes() == before


def test_every_answer_is_counted_and_named(tmp_path: Path, data: Path) -> None:
    answers = {
        "1": Response(id="1", text="Say 0"),
        "2": Response(id="2", text=" "),
        "3": Response(id="3", text="Say 2", finish_reason="length"),
        "4": failed(Request(id="4", question="", media=(), max_tokens=1), RuntimeError("no"), 0.0),
        "5": failed(Request(id="5", question="", media=(), max_tokens=1), MediaError("torn"), 0.0),
    }
    loaded = load_benchmark(BENCHMARKS["folder"], data, limit=5)
    result, _ = run(loaded, tmp_path / "out", lambda request: answers[request.id])
    assert result["counts"] == {
        **{"graded": 1, "empty": 1, "unparsed": 0, "cut_off": 1},
        **{"failed": 1, "bad_media": 1, "not_counted": 1},
    }
    assert result["n"] == 4 and result["score"] == 0.25
    assert [each["id"] for each in result["failures"]] == ["4", "5"]
    assert result["failures"][0]["error"] == "RuntimeError: no"
    # Errors are asked again, answers are not; the last answer counts.
    result, responder = run(loaded, tmp_path / "out", lambda request: request.question)
    assert sorted(responder.asked) == ["4", "5"]
    assert result["score"] == 0.6 and not result["failures"]


def test_bad_rows_go_on_or_stop_by_choice(tmp_path: Path, data: Path) -> None:
    with (data / "questions.csv").open("a") as file:
        file.write("gone.png,Say,Say,\n")
    loaded = load_benchmark(BENCHMARKS["folder"], data)
    with pytest.raises(
        DataError, match=r"1 rows cannot be asked; the first: questions\.csv row 13"
    ):
        run(loaded, tmp_path / "out", lambda request: "x", on_error="stop")
    assert not (tmp_path / "out").exists()
    result, _ = run(loaded, tmp_path / "out", lambda request: "x")
    assert result["bad_rows"][0]["where"] == "questions.csv row 13" and result["n"] == 12


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_named_and_nothing_is_lost(tmp_path: Path, data: Path) -> None:
    loaded = load_benchmark(BENCHMARKS["folder"], data)
    out = tmp_path / "out"
    out.mkdir()
    (out / RESPONSES_FILE).symlink_to("/dev/full")
    with pytest.raises(DataError, match="no space left on device.*make room and start"):
        run(loaded, out, lambda request: request.question)
    (out / RESPONSES_FILE).unlink()
    result, _ = run(loaded, out, lambda request: request.question)
    assert result["score"] == 1.0


@pytest.mark.slow
def test_a_line_that_does_not_fit_is_taken_back(tmp_path: Path, data: Path) -> None:
    """A real limit on the size of files, in a process of its own."""
    out = tmp_path / "out"
    limited = (
        "import resource, signal, runpy, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000));"
        f"sys.argv = ['slow', {str(out)!r}, {str(data)!r}, '0'];"
        f"runpy.run_path({str(PROGRAM)!r}, run_name='__main__')"
    )
    environment = {**os.environ, "PYTHONPATH": str(PROGRAM.parents[1])}
    told = subprocess.run(
        [sys.executable, "-c", limited], env=environment, capture_output=True, text=True
    )
    assert "DataError" in told.stderr and "cannot be written: file too large" in told.stderr
    raw = (out / RESPONSES_FILE).read_bytes()
    assert raw.endswith(b"\n") and 0 < raw.count(b"\n") < 12
    assert finish(start(out, data, 0)) == "whole"


def test_two_do_not_write_into_one_file(tmp_path: Path, data: Path) -> None:
    loaded = load_benchmark(BENCHMARKS["folder"], data)
    with (
        ResponseLog(tmp_path / "out" / RESPONSES_FILE),
        pytest.raises(DataError, match="Another process writes into"),
    ):
        run(loaded, tmp_path / "out", lambda request: "x")


def test_shares_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert Share.of_environment() == Share(rank=1, world=3)
    monkeypatch.setenv("RANK", "3")
    with pytest.raises(ConfigError, match="RANK is '3' and WORLD_SIZE '3'"):
        Share.of_environment()


def test_answers_are_scored_again_by_other_rules(tmp_path: Path) -> None:
    rows = "file,question,answer,metric\np.png,How many?,1000,relaxed_accuracy\n"
    put(tmp_path / "data" / "questions.csv", rows)
    put(tmp_path / "data" / "p.png", picture())
    loaded = load_benchmark(BENCHMARKS["folder"], tmp_path / "data")
    result, _ = run(loaded, tmp_path / "out", lambda request: "1,000")
    assert result["score"] == 1.0
    again = rescore(tmp_path / "out", "lmms-eval")
    assert (again["score"], again["profile"]) == (0.0, "lmms-eval")
    assert json.loads((tmp_path / "out" / "result.json").read_text()) == again
    assert rescore(tmp_path / "out")["score"] == 1.0
    with pytest.raises(ConfigError, match="no profile 'kind'"):
        rescore(tmp_path / "out", "kind")
    with pytest.raises(DataError, match="holds no run of"):
        rescore(tmp_path)
    (tmp_path / "out" / RESPONSES_FILE).write_text("")
    with pytest.raises(DataError, match="no answer to 1 of 1 questions, the first 1"):
        rescore(tmp_path / "out")


def test_a_profile_that_a_metric_lacks_is_refused_before_anything_is_asked(
    tmp_path: Path, data: Path
) -> None:
    put(
        tmp_path / "mine" / "questions.csv",
        "file,question,answer,options,metric\np.png,Which?,A,A red cup | A dog,egoschema\n",
    )
    put(tmp_path / "mine" / "p.png", picture())
    loaded = load_benchmark(BENCHMARKS["folder"], tmp_path / "mine")
    responder = FakeResponder(lambda request: "A")
    with pytest.raises(ConfigError, match="EgoSchema has no profile 'official'"):
        evaluate(
            loaded, responder, tmp_path / "out", manifest_of(loaded), profile="official",
            share=Share(),
        )  # fmt: skip
    assert not responder.asked and not (tmp_path / "out").exists()


def test_golds_of_any_sort_are_read_or_named(tmp_path: Path) -> None:
    golds = ["", None, "|", [], [None], 28.21, 0, False, [1, None, " b "]]
    lines = [
        json.dumps({"file": "p.png", "question": "What?", "answer": gold, "id": str(idx)})
        for idx, gold in enumerate(golds)
    ]
    put(tmp_path / "questions.jsonl", "\n".join(lines) + "\n")
    put(tmp_path / "p.png", picture())
    loaded = load_benchmark(BENCHMARKS["folder"], tmp_path)
    assert [each.reason for each in loaded.bad] == ["its answer is empty"] * 5
    assert [each.gold.answers for each in loaded.questions] == [
        ("28.21",), ("0",), ("no", "false"), ("1", "b"),
    ]  # fmt: skip


def test_a_report_is_written_whole_or_not_at_all(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_benchmark(BENCHMARKS["folder"], data, limit=2)
    run(loaded, tmp_path / "out", lambda request: "x")
    before = (tmp_path / "out" / "report.html").read_text()
    full = Path.write_text

    def into_a_full_disk(path: Path, text: str, **keywords: str) -> int:
        full(path, text[: len(text) // 2], **keywords)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", into_a_full_disk)
    with pytest.raises(DataError, match="cannot be written: No space left on device"):
        rescore(tmp_path / "out")
    monkeypatch.undo()
    assert (tmp_path / "out" / "report.html").read_text() == before
    assert not list((tmp_path / "out").glob("*.part"))
