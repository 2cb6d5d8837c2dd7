"""A checkpoint four times as large as the memory that its export may take, under a hard limit."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from latentvlm.errors import InputError
from latentvlm.eval.synthetic_checkpoint import write_synthetic
from latentvlm.vlm.export import export as export_module
from latentvlm.vlm.export import memory
from latentvlm.vlm.export.export import export
from latentvlm.vlm.export.memory import needed
from latentvlm.vlm.export.source import WeightSource

SCRIPT = Path(__file__).parents[2] / "support" / "export_in_little_memory.py"
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")


def export_within(folder: Path, out: Path, num_bytes: int) -> dict:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), str(out), str(num_bytes)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@needs_linux
@pytest.mark.slow
def test_an_export_takes_a_quarter_of_its_checkpoint(tmp_path: Path) -> None:
    size = write_synthetic(tmp_path / "model", 0.16)
    found = export_within(tmp_path / "model", tmp_path / "out", size // 4)
    assert found.get("holds"), found
    assert found["costs"]["bytes_before"] == size
    assert found["costs"]["peak_bytes_more"] > 0
    assert (tmp_path / "out" / "proof.md").is_file()
    # what is said beforehand to be needed is enough, and not far more than enough
    assert needed(WeightSource(tmp_path / "model"), [48], models=2).total < size // 4
    refused = export_within(tmp_path / "model", tmp_path / "other", size // 10)
    assert "of memory" in refused["refused"] and "are free" in refused["refused"]
    assert not [path for path in tmp_path.iterdir() if "other" in path.name]


def test_what_does_not_fit_is_refused_before_anything_is_written(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 100_000.0)
    with pytest.raises(InputError, match=r"Calibrating .* takes about .* and 0.1 MB are free"):
        export(original, tmp_path / "out", recipe="nano-fp8", num_prompts=2, num_held_out=1)
    assert not list(tmp_path.iterdir())


def test_the_need_grows_with_the_prompts_and_not_with_the_layers(tmp_path: Path) -> None:
    for name, size in (("small", 0.02), ("large", 0.06)):
        write_synthetic(tmp_path / name, size)
    small, large = (WeightSource(tmp_path / name) for name in ("small", "large"))
    one, two = (needed(source, [100], models=2) for source in (small, large))
    assert one == two
    more = needed(large, [100] * 50, models=2)
    assert more.block == two.block and more.states > 4 * two.states


def test_the_peak_is_reported(original: Path, tmp_path: Path) -> None:
    made = export(
        original, tmp_path / "out", recipe="nano-fp8", num_prompts=1, num_held_out=1, num_answers=0
    )
    assert made.proof.costs["peak_bytes"] > made.proof.costs["peak_bytes_more"] >= 0
    text = (tmp_path / "out" / "proof.md").read_text()
    assert "MB of memory were held" in text and "bytes became" in text


@needs_linux
def test_limits_of_the_process_count(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    limits = {resource.RLIMIT_DATA: 10**15, resource.RLIMIT_AS: resource.RLIM_INFINITY}
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (limits[kind], limits[kind]))
    everything = memory.available_bytes()
    assert 0 < everything < 10**15
    used = memory._fields("/proc/self/status")["VmData"]
    limits[resource.RLIMIT_DATA] = used + 50_000_000
    assert memory.available_bytes() < 60_000_000
    limits[resource.RLIMIT_DATA] = used // 2
    assert memory.available_bytes() == 0


def test_data_without_end_is_read_no_further_than_needed(original: Path, tmp_path: Path) -> None:
    read = []

    def endless():
        while True:
            read.append(len(read))
            yield f"What is line {len(read)}?"

    made = export(
        original,
        tmp_path / "out",
        recipe="nano-fp8",
        data=endless(),
        num_prompts=3,
        num_held_out=2,
        num_answers=0,
    )
    assert read == [0, 1, 2, 3, 4] and made.calibration.num_prompts == 3


def test_what_calibrated_is_not_held_out(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from latentvlm.vlm.export import verify as verify_module

    seen = []
    find = verify_module.find_prompts

    def record(*args, **options):
        found = find(*args, **options)
        seen.append([prompt.question for prompt in found.prompts])
        return found

    monkeypatch.setattr(verify_module, "find_prompts", record)
    monkeypatch.setattr(export_module, "find_prompts", record)
    data = tmp_path / "data.jsonl"
    lines = [[{"role": "user", "content": f"Question {idx}?"}] for idx in range(7)]
    data.write_text("\n".join(map(json.dumps, lines)))
    options = {"num_prompts": 4, "num_held_out": 2, "num_answers": 0}
    export(original, tmp_path / "out", recipe="nano-fp8", data=data, **options)
    assert seen == [[f"Question {i}?" for i in range(4)], ["Question 4?", "Question 5?"]]
    verify_module.verify(tmp_path / "out", original, data=data, num_prompts=2, num_answers=0)
    assert seen[-1] == seen[1]  # the record says how many calibrated
