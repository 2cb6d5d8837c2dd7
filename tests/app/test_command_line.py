"""The command line as a person meets it: two outputs and an exit code.

One test starts real processes; the others call `main`, as starting torch takes seconds.
"""

import io
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import pytest

from latentvlm.app.cli import main
from latentvlm.vlm import api
from latentvlm.vlm.checkpoint import load_model, save_model
from latentvlm.vlm.model import VisionLanguageModel
from latentvlm.vlm.quantize.bits import bits_in_memory

START = "import sys; from latentvlm.app.cli import main; main(sys.argv[1:])"


class Told(NamedTuple):
    code: object
    out: str
    err: str


class CommandLine:
    """Calls `main` with what a shell would hand it."""

    def __init__(self, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys, self._monkeypatch = capsys, monkeypatch

    def __call__(self, *arguments: object, stdin: str = "") -> Told:
        self._monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as exit:
            main([str(item) for item in arguments])
        return Told(exit.value.code, *self._capsys.readouterr())


@pytest.fixture
def latentvlm(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return CommandLine(capsys, monkeypatch)


def test_a_process_streams_the_answer_and_then_says_what_it_took(
    tiny_folder: Path, picture: Path
) -> None:
    asked = ["ask", picture, "What is the total?", "--model", tiny_folder, "--max-tokens", 5]
    command = [sys.executable, "-c", START, *map(str, asked)]
    told = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert told.returncode == 0, told.stderr
    *text, counts = told.stdout.splitlines()
    # 96 x 64 pixels are 12 x 8 patches of 8 pixels, and four patches are one visual token.
    assert "(24 visual), 5 answer tokens, " in counts
    assert "warning: The answer was cut off after 5 tokens" in told.stderr

    as_json = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    answer = json.loads(as_json.stdout)
    assert answer["text"].splitlines() == text
    assert 0 <= answer["confidence"] <= 1
    assert answer["finish_reason"] == "length"
    assert answer["usage"]["visual_tokens"] == 24
    assert answer["usage"]["answer_tokens"] == 5
    assert answer["timing"]["total_s"] > 0


def test_chat_answers_line_by_line_and_goes_on_after_bad_input(
    latentvlm: CommandLine, tiny_folder: Path, picture: Path
) -> None:
    too_long = "total " * 4000
    told = latentvlm(
        *("chat", picture, "--model", tiny_folder, "--max-tokens", 4, "--json"),
        stdin=f"What is the total?\n{too_long}\nAnd the date?\n",
    )
    assert told.code == 0, told.err
    first, second = (json.loads(line) for line in told.out.splitlines())
    assert second["usage"]["visual_tokens"] == first["usage"]["visual_tokens"] == 24
    assert second["usage"]["prompt_tokens"] > first["usage"]["prompt_tokens"]
    assert told.err.startswith("error: ")
    assert len(told.err.splitlines()) == 1


def test_a_seed_draws_the_same_answer(
    latentvlm: CommandLine, tiny_folder: Path, picture: Path
) -> None:
    def text(seed: int) -> str:
        sampling = ["--temperature", 1.5, "--top-k", 50, "--seed", seed, "--max-tokens", 8]
        told = latentvlm("ask", picture, "Who?", "--model", tiny_folder, "--json", *sampling)
        assert told.code == 0, told.err
        return json.loads(told.out)["text"]

    assert text(1) == text(1) != text(2)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["ask", "nowhere.png", "What?"], "There is no file nowhere.png."),
        (["ask", "{picture}", " "], "The question is empty"),
        (["ask", "{picture}", "What? " * 9999], "but the model's context holds"),
        (["ask", "{picture}", "What?", "--pages", "2"], "There is no page 2"),
        (["ask", "{picture}", "What?", "--top-p", "3"], "top_p is 3.0 but must be in (0, 1]"),
        (["chat", "{picture}", "--model", "nowhere"], "nowhere"),
        (["train", "nowhere.yaml"], "nowhere.yaml"),
        (["train", "nowhere.yaml", "--export", "nowhere"], "nowhere.yaml"),
        (["bench", "--size-gb", "1"], "--size-gb is the size of the checkpoint of --load"),
        (["bench", "--load", "--quick"], "leave out --preset"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    latentvlm: CommandLine, arguments: list[str], sentence: str, tiny_folder: Path, picture: Path
) -> None:
    arguments = [item.format(picture=picture) for item in arguments]
    if arguments[0] == "ask":
        arguments += ["--model", str(tiny_folder)]
    told = latentvlm(*arguments)
    assert told.code == 2
    assert told.err.startswith("error: ")
    assert sentence in told.err
    assert len(told.err.splitlines()) == 1
    assert not told.out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["ask", "What is the total?"], "Say at least one file"),
        (["chat"], "Say at least one file"),
        (["ask", "{picture}", "{picture}"], "The question comes last"),
        (["bogus"], "bogus"),
    ],
)
def test_a_command_that_makes_no_sense_says_why(
    latentvlm: CommandLine, arguments: list[str], sentence: str, picture: Path
) -> None:
    told = latentvlm(*(item.format(picture=picture) for item in arguments))
    assert told.code == 2
    assert sentence in told.err
    assert "Traceback" not in told.err


def test_how_weights_and_cache_are_kept_can_be_asked_for(
    latentvlm: CommandLine, tiny_folder: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    real = api.load_model

    def load_model(*arguments: object, **settings: object):
        model = real(*arguments, **settings)  # type: ignore[arg-type]
        opened.append((settings["quantized"], bits_in_memory(model)))
        return model

    monkeypatch.setattr(api, "load_model", load_model)
    asked = ("ask", picture, "Who?", "--model", tiny_folder, "--max-tokens", 3, "--json")
    told = latentvlm(*asked, "--quantized", "experts-int8", "--kv-cache", "fp8")
    assert told.code == 0, told.err
    ((choice, weights),) = opened
    assert choice == "experts-int8" and any(entry.format.startswith("INT8") for entry in weights)
    for option, value in (("--quantized", "fp7"), ("--kv-cache", "int3")):
        told = latentvlm(*asked, option, value)
        assert told.code == 2 and value in told.err


def test_a_language_model_is_asked_without_a_page(
    latentvlm: CommandLine, tiny_folder: Path, tmp_path: Path
) -> None:
    whole = load_model(tiny_folder)
    assert isinstance(whole, VisionLanguageModel)
    save_model(whole.language_model, tmp_path, files_from=tiny_folder)
    told = latentvlm("ask", "How many?", "--model", tmp_path, "--json", "--max-tokens", 3)
    assert told.code == 0, told.err
    usage = json.loads(told.out)["usage"]
    assert usage["visual_tokens"] == 0 and 0 < usage["answer_tokens"] <= 3
    told = latentvlm("chat", "--model", tmp_path, "--json", "--max-tokens", 3, stdin="Hi?\n")
    assert told.code == 0, told.err
    assert json.loads(told.out)["usage"]["visual_tokens"] == 0


def test_version(latentvlm: CommandLine) -> None:
    assert latentvlm("--version").out == f"latentvlm {version('latentvlm')}\n"
