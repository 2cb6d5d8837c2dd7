"""What cannot be exported: one sentence, and nothing left that looks whole."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from support.tiny_model import tiny_config, write_tiny_model

from latentvlm.errors import CheckpointError, ConfigError, InputError
from latentvlm.vlm.export import plain_files
from latentvlm.vlm.export.all_recipes import prove_all
from latentvlm.vlm.export.export import export
from latentvlm.vlm.export.prompts import find_prompts
from latentvlm.vlm.export.source import WeightSource
from latentvlm.vlm.quantize.recipes import Recipe

QUICK = {"num_prompts": 1, "num_held_out": 1, "num_answers": 0}


def test_an_output_that_exists(original: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="exists already; an export goes into a new folder"):
        export(original, tmp_path, recipe="super-nvfp4")
    with pytest.raises(InputError, match="There is no folder"):
        export(original, tmp_path / "no" / "out", recipe="super-nvfp4")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file cannot be a folder of proofs .File exists."):
        prove_all(original, tmp_path / "file", name="tiny")


def test_a_recipe_that_names_no_layer_of_the_model(tmp_path: Path) -> None:
    config = tiny_config(hybrid_override_pattern="M*-")
    write_tiny_model(tmp_path / "dense", config=config)
    with pytest.raises(ConfigError, match="experts-int8 names experts, and .* has no such layer"):
        export(
            tmp_path / "dense", tmp_path / "out", recipe="experts-int8", layout="compressed-tensors"
        )
    with pytest.raises(ConfigError, match="names nothing"):
        export(tmp_path / "dense", tmp_path / "out", recipe=Recipe(name="mine", formats={}))


def test_rows_that_are_no_multiple_of_16(tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "model")  # experts of 24
    with pytest.raises(ConfigError, match=r"down_proj \(its 24 columns are no multiple of 16\)"):
        export(tmp_path / "model", tmp_path / "out", recipe="super-nvfp4")
    assert not (tmp_path / "out").exists()


def test_layouts_and_formats_that_do_not_go_together(original: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ModelOpt's layout has no INT8"):
        export(original, tmp_path / "out", recipe="experts-int8")
    with pytest.raises(ConfigError, match="layout is 'gguf'"):
        export(original, tmp_path / "out", recipe="nano-fp8", layout="gguf")  # type: ignore[arg-type]


def test_what_is_quantized_already(exported, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="already; export the full-precision checkpoint"):
        export(exported("super-nvfp4", "modelopt")[0], tmp_path / "out", recipe="nano-fp8")


def test_a_matrix_of_zeros_is_exported(original: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(original, tmp_path / "model"))
    for path in folder.glob("*.safetensors"):
        tensors = load_file(path)
        for name in tensors:
            if name.endswith(("layers.2.mixer.up_proj.weight", "experts.2.down_proj.weight")):
                tensors[name].zero_()
        save_file(tensors, path, metadata={"format": "pt"})
    made = export(folder, tmp_path / "out", recipe="super-nvfp4", **QUICK)
    assert made.proof.holds


def test_a_disk_that_is_too_small(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 1000, 1000))
    with pytest.raises(InputError, match="has 0.00 GB free; make room"):
        export(original, tmp_path / "out", recipe="super-nvfp4", **QUICK)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fills(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(plain_files.os, "fsync", full)
    with pytest.raises(InputError, match="No space left on device.*nothing was left"):
        export(original, tmp_path / "out", recipe="super-nvfp4", **QUICK)
    assert not list(tmp_path.iterdir())


FULL = """
import resource, signal, sys
from latentvlm.errors import InputError
from latentvlm.vlm.export.export import export
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
try:
    export(sys.argv[1], sys.argv[2], recipe="super-nvfp4", num_prompts=1, num_held_out=1)
except InputError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_file_that_may_not_grow_further(original: Path, tmp_path: Path) -> None:
    """The system itself refuses the write, in the middle of the weights."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(original), str(tmp_path / "out")],
        capture_output=True,
        text=True,
    )
    assert "out cannot be written (File too large); nothing was left there" in done.stdout, done
    assert not list(tmp_path.iterdir())


def test_an_expert_that_no_token_is_routed_to(original: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(original, tmp_path / "model"))
    for path in folder.glob("*.safetensors"):
        tensors = load_file(path)
        for name in tensors:
            if "mtp." not in name and name.endswith("e_score_correction_bias"):
                tensors[name][2] = -100.0
        save_file(tensors, path, metadata={"format": "pt"})
    made = export(folder, tmp_path / "out", recipe="super-nvfp4", **QUICK)
    assert made.calibration.expert_tokens[3][2] == 0
    assert any(
        note.startswith("Layer 3: experts 2 saw no token at all in calibration")
        for note in made.proof.notes
    )
    written = {}
    for path in (tmp_path / "out").glob("*.safetensors"):
        written |= load_file(path)
    layer = "language_model.backbone.layers.3.mixer.experts"
    scales = {written[f"{layer}.{e}.down_proj.input_scale"].item() for e in range(4)}
    assert len(scales) == 1 and scales.pop() not in (0.0, 1.0)  # that of its layer


def test_too_few_prompts(original: Path, tmp_path: Path) -> None:
    for few in ({"num_prompts": 0}, {"num_held_out": 0}):
        with pytest.raises(InputError, match="an export needs one of each"):
            export(original, tmp_path / "out", recipe="nano-fp8", **(QUICK | few))
    with pytest.raises(InputError, match="0 prompts are no data"):
        find_prompts(WeightSource(original), None, 0, split="heldout")


def test_calibration_data(original: Path, tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    one = json.dumps({"messages": [{"role": "user", "content": "What is the total?"}]})
    data.write_text(one + "\n")
    with pytest.raises(InputError, match="holds too little: none beyond the 1 that calibrate"):
        export(original, tmp_path / "out", recipe="super-nvfp4", data=data, **QUICK)
    data.write_text("\n")
    with pytest.raises(InputError, match="holds too little: none"):
        export(original, tmp_path / "out", recipe="super-nvfp4", data=data, **QUICK)
    data.write_text(one + "\n7\n")
    with pytest.raises(InputError, match="line 2, holds no conversation"):
        export(original, tmp_path / "out", recipe="super-nvfp4", data=data, **QUICK)
    for broken in (b"{\n", b"\xff\xfe\x00\n"):
        data.write_bytes(one.encode() + b"\n" + broken)
        with pytest.raises(InputError, match="line 2, is no JSON"):
            export(original, tmp_path / "out", recipe="super-nvfp4", data=data, **QUICK)
    for broken, words in (
        ("[]", "is a conversation without a message"),
        ('[{"content": "Total?"}]', "Message 0 has the role None"),
        ('["Total?"]', "Message 0 is a str"),
    ):
        data.write_text(f"{one}\n{broken}\n")
        with pytest.raises(InputError, match=f"Number 2 of the calibration data .*{words}"):
            export(original, tmp_path / "out", recipe="super-nvfp4", data=data, **QUICK)
    with pytest.raises(InputError, match="There is no calibration data"):
        export(original, tmp_path / "out", recipe="super-nvfp4", data=tmp_path / "no.jsonl")
    made = export(
        original, tmp_path / "out", recipe="super-nvfp4", data=["Total?", "Who?"], **QUICK
    )
    few = [note for note in made.proof.notes if "saw fewer than 16 tokens" in note]
    assert few and few[0].startswith("Layer 3: experts")


def test_a_folder_without_tokenizer(original: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(original, tmp_path / "model"))
    (folder / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match="has no tokenizer"):
        export(folder, tmp_path / "out", recipe="nano-fp8", data=["a", "b"], **QUICK)
    made = export(folder, tmp_path / "out", recipe="nano-fp8", **QUICK)
    assert made.proof.holds and any("random tokens" in note for note in made.proof.notes)


KILLED = """
import signal, sys, time
# A shell that runs this in the background has the signal ignored, which children inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)
from latentvlm.vlm.export import export as module
write = module.write_export
def slow(source, plan, calibration, folder, **options):
    def wait(what, done, total):
        if done == 5:
            print("writing", flush=True)
            time.sleep(60)
    write(source, plan, calibration, folder, **(options | {"notify": wait}))
module.write_export = slow
module.export(sys.argv[1], sys.argv[2], recipe="nano-fp8", num_prompts=1, num_held_out=1)
"""


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.slow
def test_a_kill_in_the_middle_leaves_nothing_whole(
    original: Path, tmp_path: Path, sent: signal.Signals
) -> None:
    out = tmp_path / "out"
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(original), str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert child.stdout is not None and child.stdout.readline() == b"writing\n"
    os.kill(child.pid, sent)
    child.wait(timeout=60)
    child.stdout.close()
    left = list(tmp_path.iterdir())
    assert not out.exists()
    if sent == signal.SIGINT:
        assert not left
    else:
        assert len(left) == 1 and left[0].name.startswith(".out.exporting-")
        assert not (left[0] / "config.json").exists()
    export(original, out, recipe="nano-fp8", **QUICK)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
