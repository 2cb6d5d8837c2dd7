"""`--think`, `--thinking-budget`, `--show-thinking` and `--tools` as a person meets them."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from support.thinking import WEATHER, Scripted

from latentvlm.app.cli import main
from latentvlm.app.options import ModelOptions

CALL = '<TOOLCALL>[{"name": "weather", "arguments": {"place": "Rome"}}]</TOOLCALL>'


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Scripted:
    return Scripted(tmp_path_factory.mktemp("tokenizer"), "2")


@pytest.fixture
def run(
    two: Scripted, picture: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Runs a command over a model that follows a script; gives the code, output and errors."""

    def command(*arguments: object, said: tuple[str, str], stdin: str = "") -> tuple:
        vlm = two.seeing_vlm(*said)
        monkeypatch.setattr(ModelOptions, "load", lambda _: vlm)
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        name, *rest = arguments
        with pytest.raises(SystemExit) as exit:
            main([str(item) for item in (name, picture, *rest)])
        return exit.value.code, *capsys.readouterr()

    return command


SAID = ("First this. Then that.</think>", "\n\nTwelve.")


def test_the_thought_is_shown_where_it_is_asked_for(run: Any) -> None:
    code, out, err = run("ask", "What?", said=SAID)
    assert code == 0 and out.splitlines()[0] == "Twelve." and not err
    code, out, err = run("ask", "What?", "--show-thinking", said=SAID)
    assert out.splitlines()[0] == "Twelve."
    assert err == "First this. Then that.\n\n"


def test_json_has_thought_and_calls(run: Any, tmp_path: Path) -> None:
    tools = tmp_path / "tools.json"
    tools.write_text(json.dumps([WEATHER]))
    code, out, _ = run("ask", "Rain?", "--json", "--tools", tools, said=(SAID[0], f"So: {CALL}"))
    assert code == 0
    answer = json.loads(out)
    assert answer["text"] == "So:"
    assert answer["reasoning"] == "First this. Then that."
    assert answer["reasoning_finish"] == "stop"
    assert answer["tool_calls"] == [{"name": "weather", "arguments": {"place": "Rome"}}]
    assert answer["usage"]["reasoning_tokens"] > 10
    code, out, _ = run("ask", "Rain?", "--tools", tools, said=(SAID[0], CALL))
    assert json.loads(out.splitlines()[1]) == answer["tool_calls"][0]


def test_thinking_on_off_and_for_so_long(run: Any) -> None:
    code, out, _ = run("ask", "What?", "--no-think", "--json", said=("Yes.", "No."))
    assert (json.loads(out)["text"], json.loads(out)["reasoning"]) == ("Yes.", "")
    code, out, _ = run("ask", "What? /no_think", "--think", "--json", said=SAID)
    assert json.loads(out)["reasoning"] == "First this. Then that."
    code, out, _ = run("ask", "What?", "--thinking-budget", 0, "--json", said=SAID)
    answer = json.loads(out)
    assert (answer["text"], answer["reasoning"]) == ("Twelve.", "")
    assert answer["reasoning_finish"] == "budget"


def test_a_conversation_with_thoughts(run: Any) -> None:
    code, out, err = run("chat", "--json", said=SAID, stdin="What?\nAnd now?\n")
    assert code == 0, err
    answers = [json.loads(line) for line in out.splitlines()]
    assert [each["text"] for each in answers] == ["Twelve.", "Twelve."]
    code, out, err = run("chat", "--show-thinking", said=SAID, stdin="What?\n")
    assert out.startswith("Twelve.\n") and err == "First this. Then that.\n\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--thinking-budget", "-3"], "thinking_budget is -3"),
        (["--no-think", "--thinking-budget", "3"], "but thinking is off"),
        (["--low-effort"], "has no low_effort"),
        (["--tools", "nowhere.json"], "nowhere.json cannot be read as JSON"),
    ],
)
def test_what_cannot_be_is_one_sentence(run: Any, arguments: list[str], sentence: str) -> None:
    code, out, err = run("ask", "What?", *arguments, said=SAID)
    assert code == 2 and not out
    assert err.startswith("error: ") and sentence in err and len(err.splitlines()) == 1
