"""`latentvlm inspect` and `latentvlm plan` as a person meets them."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from latentvlm.app.cli import main
from latentvlm.app.units import count, read_length, size


def told(capsys: pytest.CaptureFixture, *arguments: object) -> tuple[object, str, str]:
    with pytest.raises(SystemExit) as exit:
        main([str(item) for item in arguments])
    return (exit.value.code, *capsys.readouterr())


def test_a_preset_on_one_screen_and_as_json(capsys: pytest.CaptureFixture) -> None:
    code, out, _ = told(capsys, "inspect", "nemotron-3-super-120b-a12b")
    assert code == 0
    assert len(out.splitlines()) <= 24
    assert "120.67B in all, 12.23B active" in out
    assert "40 Mamba-2, 8 attention, 40 MoE" in out
    code, out, _ = told(capsys, "inspect", "nemotron-3-super-120b-a12b", "--json")
    values = json.loads(out)
    assert values["parameters"]["total"] == 120_668_707_840
    assert abs(values["parameters"]["active"] - 12.23e9) < 5e6
    assert values["parameters"]["by_class"]["routed experts"]["bits"] == 16


def test_a_folder(capsys: pytest.CaptureFixture, tiny_folder: Path) -> None:
    code, out, _ = told(capsys, "inspect", tiny_folder)
    assert code == 0
    assert "chat        images" in out
    assert "5 of weights; " in out


def test_weights_are_looked_at_when_asked_to(
    capsys: pytest.CaptureFixture, tiny_folder: Path, tmp_path: Path
) -> None:
    code, out, _ = told(capsys, "inspect", tiny_folder, "--check-weights")
    assert code == 0 and "tensors: no NaN, no infinity" in out
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "model"))
    shard = folder / "model-00003-of-00005.safetensors"
    tensors = load_file(shard)
    name = next(name for name, tensor in tensors.items() if tensor.is_floating_point())
    tensors[name].view(-1)[-1] = float("nan")
    save_file(tensors, shard)
    code, out, error = told(capsys, "inspect", folder, "--check-weights", "--json")
    assert code == 2 and not out
    assert f"model-00003-of-00005.safetensors has NaN or infinity in {name}" in error
    code, _, error = told(capsys, "inspect", "nemotron-3-nano-30b-a3b", "--check-weights")
    assert code == 2 and "no weights to check" in error


def test_a_plan_says_whether_it_fits_and_compares(capsys: pytest.CaptureFixture) -> None:
    asked = ["plan", "nemotron-3-nano-30b-a3b", "--context", "128k", "--batch", 8, "--gpu", "h200"]
    code, out, _ = told(capsys, *asked)
    assert code == 0
    assert "it fits" in out and "bound by memory bandwidth" in out and "LatentMoE" in out
    code, out, _ = told(capsys, *asked, "--json", "--weights", "fp8", "--kv-dtype", "fp8")
    values = json.loads(out)
    assert values["context"] == 131072 and values["fits"] is True
    assert values["memory"]["kv"] == 8 * 131072 * 3072
    assert values["parameters"]["total"] == 31_577_940_288
    assert values["context_limit"] == 262144
    assert values["counterpart"]["kind"] == "LatentMoE"
    assert values["decode"]["tokens_per_s"] > 0


def test_keys_and_values_are_planned_as_load_keeps_them(
    capsys: pytest.CaptureFixture, tiny_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "scaled"))
    scales = {f"language_model.backbone.layers.1.mixer.{n}_proj.{n}_scale" for n in "kv"}
    save_file({name: torch.ones(()) for name in scales}, folder / "mtp.safetensors")
    plain, scaled, asked = (
        json.loads(told(capsys, "plan", *given, "--json")[1])
        for given in ([tiny_folder], [folder], [folder, "--kv-dtype", "fp8"])
    )
    assert (plain["kv_dtype"], scaled["kv_dtype"], asked["kv_dtype"]) == (
        "bfloat16",
        "bfloat16",
        "fp8",
    )
    assert plain["memory"]["kv"] == scaled["memory"]["kv"] == 2 * asked["memory"]["kv"] > 0
    for given, is_told in ([tiny_folder], False), ([folder], True):
        assert ("--kv-cache fp8" in told(capsys, "plan", *given)[1]) == is_told


@pytest.mark.parametrize("command", ["inspect", "plan"])
def test_tensors_that_do_not_fit_are_said(
    capsys: pytest.CaptureFixture, tiny_folder: Path, tmp_path: Path, command: str
) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "model"))
    save_file({"stranger.weight": torch.ones(2)}, folder / "mtp.safetensors")
    code, out, _ = told(capsys, command, folder)
    assert (code, "problem     Tensors are unexpected: stranger.weight." in out) == (0, True)
    values = json.loads(told(capsys, command, folder, "--json")[1])
    assert values["problems"] == ["Tensors are unexpected: stranger.weight."]


def test_pictures_are_planned(capsys: pytest.CaptureFixture, tiny_folder: Path) -> None:
    _, out, _ = told(capsys, "plan", tiny_folder)
    assert "--images and --frames" in out and "encode" not in out
    asked = ["plan", tiny_folder, "--images", 2, "--image-size", "256x256"]
    _, out, _ = told(capsys, *asked)
    assert "pictures    128 of the tokens of a sequence, from 512 patches" in out
    values = json.loads(told(capsys, *asked, "--json", "--frames", 4)[1])
    assert values["vision"]["tokens"] > 128 and values["encode"]["tokens_per_s"] > 0


def test_the_other_mixture_of_a_model_that_sees_sees_too(capsys: pytest.CaptureFixture) -> None:
    given, other = [], []
    for name in ("nemotron-3-nano-omni-30b-a3b", "nemotron-3-nano-30b-a3b"):
        _, out, _ = told(capsys, "plan", name, "--json")
        values = json.loads(out)
        given.append(values["parameters"]["total"])
        other.append(values["counterpart"]["parameters"]["total"])
    # tower and projector, whatever the experts are
    assert other[0] - other[1] == given[0] - given[1] > 800_000_000


def test_experts_on_one_gpu_send_nothing(capsys: pytest.CaptureFixture) -> None:
    _, alone, _ = told(capsys, "plan", "tiny")
    _, spread, _ = told(capsys, "plan", "tiny", "--gpus", 2)
    assert ": 1 sequence of 8192 tokens" in alone
    assert "on one GPU nothing leaves it" in alone
    assert "all-to-all 64 B a GPU and layer" in spread


@pytest.mark.parametrize(("arguments", "sentence"), [
    (["inspect", "nemotron-3-nano"], "did you mean 'nemotron-3-nano-4b', 'nemotron-3-nano-30b"),
    (["inspect", "{empty}"], "has no config.json"),
    (["plan", "tiny", "--gpu", "h20"], "did you mean 'h200'?"),
    (["plan", "tiny", "--context", "long"], "--context is 'long'"),
    (["plan", "tiny", "--batch", "0"], "batch is 0"),
    (["plan", "tiny", "--weights", "fp3"], "weights is 'fp3'"),
    (["plan", "jamba-v0.1", "--images", "1"], "jamba-v0.1 reads text only"),
    (["plan", "tiny", "--images", "1", "--image-size", "big"], "--image-size is 'big'"),
    (["plan", "tiny", "--revision", "main"], "so it has no revision 'main'"),
    (["inspect", "{empty}", "--revision", "main"], "is a folder, which has no revision"),
])  # fmt: skip
def test_bad_input_is_one_sentence(
    capsys: pytest.CaptureFixture, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    code, out, err = told(capsys, *(each.format(empty=tmp_path) for each in arguments))
    assert (code, out) == (2, "")
    assert err.startswith("error: ") and sentence in err
    assert len(err.splitlines()) == 1


def test_numbers_as_people_write_them() -> None:
    assert [read_length(each, option="--context") for each in ("128k", "1M", "0.5k", "7")] == [
        131072,
        1048576,
        512,
        7,
    ]
    assert (count(31.58e9), count(512), size(2**30), size(10)) == (
        "31.58B",
        "512",
        "1.0 GiB",
        "10 B",
    )
