"""The checkup: true of this machine, and of one that is made up."""

import json
import os

import pytest

from latentvlm.app import checkup
from latentvlm.app.cli import main


def doctor(capsys: pytest.CaptureFixture, *options: str) -> str:
    with pytest.raises(SystemExit) as exit:
        main(["doctor", *options])
    assert exit.value.code == 0
    return capsys.readouterr().out


def test_it_says_what_this_machine_has(capsys: pytest.CaptureFixture) -> None:
    found = json.loads(doctor(capsys, "--json"))
    import torch

    assert found["torch"] == torch.__version__
    assert found["cpu"]["cores"] == len(os.sched_getaffinity(0))
    assert len(found["gpus"]) == torch.cuda.device_count()
    assert found["memory_bytes"] > found["memory_free_bytes"] > 0
    text = doctor(capsys)
    assert len(text.splitlines()) <= 24
    assert f"torch {torch.__version__}" in text


@pytest.mark.parametrize(
    ("room", "sees", "largest"),
    [
        (8 << 30, False, None),
        (24 << 30, True, "nemotron-3-nano-omni-30b-a3b-nvfp4"),
        (80 << 30, True, "nemotron-3-nano-omni-30b-a3b"),
    ],
)
def test_it_names_checkpoints_that_fit(monkeypatch, room: int, sees: bool, largest) -> None:
    monkeypatch.setattr(checkup, "_memory", lambda: (room, room))
    fits = checkup.check()["fits"]
    assert all(each["bytes"] < room for each in fits)
    assert [each["bytes"] for each in fits] == sorted((e["bytes"] for e in fits), reverse=True)
    seeing = [each["name"] for each in fits if each["sees"]]
    assert bool(seeing) == sees
    assert not sees or seeing[0] == largest


def test_a_missing_extra_comes_with_its_command(monkeypatch, capsys) -> None:
    monkeypatch.setattr(checkup, "_version", lambda name: None)
    monkeypatch.setenv("PATH", "")
    text = doctor(capsys)
    assert "missing: pip install 'latentvlm[eval]'" in text
    assert "missing: apt-get install tesseract-ocr" in text


def test_memory_that_the_system_does_not_tell_is_unknown(monkeypatch, capsys) -> None:
    monkeypatch.setattr(checkup, "_memory", lambda: (None, None))
    text = doctor(capsys)
    assert "memory      unknown" in text and "that fit: none" in text
