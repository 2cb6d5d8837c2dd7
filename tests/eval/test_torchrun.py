"""A run shared out by torchrun itself, with a real model."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.benchmark_files import picture, put

from latentvlm.eval.evaluate import RESPONSES_FILE
from latentvlm.eval.response_log import read_lines, shard_paths

COUNT = 7


@pytest.mark.slow
def test_torchrun_shares_a_run_and_its_answers_are_those_of_one_process(
    tiny_folder: Path, tmp_path: Path
) -> None:
    program = Path(sys.executable).with_name("latentvlm")
    rows = ["file,question,answer"]
    for idx in range(COUNT):
        put(tmp_path / "mine" / f"{idx}.png", picture(idx))
        rows.append(f"{idx}.png,What {'is ' * idx}it?,Say")
    put(tmp_path / "mine" / "questions.csv", "\n".join(rows) + "\n")
    command = [str(program), "eval", "run", "folder", "--data", str(tmp_path / "mine")]
    command += ["--model", str(tiny_folder), "--device", "cpu", "--max-tokens", "4", "--json"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    torchrun += ["--nproc-per-node", "2"]
    said = run([*torchrun, *command, "--out", str(tmp_path / "two")])
    alone = json.loads(run([sys.executable, *command, "--out", str(tmp_path / "one")]))
    # The process that ended last has printed the scores.
    printed = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert printed and printed[-1]["n"] == alone["n"] == COUNT
    assert printed[-1]["manifest"] == alone["manifest"]
    shards = shard_paths(tmp_path / "two" / RESPONSES_FILE)
    ids = [[line["id"] for _, line in read_lines(path)] for path in shards]
    assert ids == [["1", "3", "5", "7"], ["2", "4", "6"]]
    assert texts(tmp_path / "two") == texts(tmp_path / "one")
    assert (tmp_path / "two" / "report.html").is_file()


def run(command: list[str]) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def texts(folder: Path) -> dict[str, str]:
    paths = shard_paths(folder / RESPONSES_FILE)
    return {line["id"]: line["text"] for path in paths for _, line in read_lines(path)}
