"""Models behind one protocol: ours, a server's, transformers'."""

import base64
import io
import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.benchmark_files import pdf, picture, put, video
from support.chat_server import chat_server
from support.clips import write_clip
from support.tiny_model import tiny_config, write_tiny_model

import latentvlm
from latentvlm.app.cli import main
from latentvlm.data.frame_choice import FrameChoice
from latentvlm.errors import BackendError, CheckpointError
from latentvlm.eval.media import StoredFile
from latentvlm.eval.responder import VLMResponder
from latentvlm.eval.samples import Request
from latentvlm.eval.server_model import ServerModel
from latentvlm.eval.transformers_model import TransformersModel

SHIPPED = Path(latentvlm.__file__).parent / "vlm" / "pretrained" / "default"
INVOICE = Path(latentvlm.__file__).parent / "data" / "samples" / "invoice.png"


def request(id: str, *media, question: str = "What is the total?", max_tokens: int = 12) -> Request:
    return Request(id=id, question=question, media=media, max_tokens=max_tokens)


def test_a_server_sees_pages_and_frames_and_is_asked_several_at_once(tmp_path: Path) -> None:
    pdf(tmp_path / "a.pdf")
    video(tmp_path / "v.mp4")
    bodies, at_once, most, lock = [], 0, 0, threading.Lock()

    def reply(body):
        nonlocal at_once, most
        with lock:
            bodies.append(body)
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.1)
        with lock:
            at_once -= 1
        return f"seen {sum(p['type'] == 'image_url' for p in body['messages'][0]['content'])}"

    with chat_server(reply) as url:
        model = ServerModel(url, concurrency=3, frames=FrameChoice(count=2))
        array = np.zeros((4, 6, 3), np.uint8)
        asked = [
            request("pdf", StoredFile(path=str(tmp_path / "a.pdf"))),
            request("video", StoredFile(path=str(tmp_path / "v.mp4"))),
            request("array", array),
            request("none"),
        ]
        answers = {each.id: each for each in model.generate(asked)}
    assert model.name == f"served at {url}"
    assert [answers[key].text for key in ("pdf", "video", "array", "none")] == [
        "seen 2",
        "seen 2",
        "seen 1",
        "seen 0",
    ]
    assert 2 <= most <= 3
    assert answers["pdf"].answer_tokens == 2 and answers["pdf"].details["prompt_tokens"] == 20
    sent = next(
        b for b in bodies if sum(p["type"] == "image_url" for p in b["messages"][0]["content"]) == 1
    )
    assert (sent["temperature"], sent["max_tokens"], sent["model"]) == (0, 12, "served")
    address = sent["messages"][0]["content"][0]["image_url"]["url"]
    shown = Image.open(io.BytesIO(base64.b64decode(address.split(",")[1])))
    assert np.array_equal(np.asarray(shown), array)


def test_a_busy_server_is_asked_again_and_a_refusal_is_an_answer() -> None:
    tries: list[str] = []

    def reply(body):
        text = body["messages"][0]["content"][-1]["text"]
        tries.append(text)
        if text == "refused":
            return 400, {"error": "too long"}
        if tries.count(text) < 3:
            return 503, {"error": "busy"}
        return "well"

    with chat_server(reply) as url:
        model = ServerModel(url, pause=0.01)
        asked = [request("a", question="busy"), request("b", question="refused")]
        answers = {each.id: each for each in model.generate(asked)}
        strict = ServerModel(url, pause=0.01, stops_on_error=True)
        with pytest.raises(BackendError, match="400"):
            list(strict.generate([request("b", question="refused")]))
    assert answers["a"].text == "well" and tries.count("busy") == 3
    assert answers["b"].finish_reason == "error" and "too long" in answers["b"].error
    with pytest.raises(BackendError, match="gave no answer"):
        ServerModel(url, pause=0.01, retries=1)


def test_ours_and_transformers_answer_the_same(tmp_path: Path) -> None:
    asked = [
        request("1", StoredFile(path=str(INVOICE)), max_tokens=24),
        request("2", np.asarray(Image.open(INVOICE).convert("RGB")), question="Who is it from?"),
        request("3", StoredFile(path=str(tmp_path / "gone.png"))),
    ]
    vlm = latentvlm.load(device="cpu", dtype="float32")
    ours = list(VLMResponder(vlm, name="ours").generate(asked))
    theirs = list(TransformersModel(SHIPPED, device="cpu").generate(asked))
    for one, other in zip(ours, theirs, strict=True):
        assert (one.id, one.text, one.finish_reason) == (other.id, other.text, other.finish_reason)
    assert ours[0].text and ours[0].details["prompt_tokens"] == theirs[0].details["prompt_tokens"]
    assert ours[2].finish_reason == "error" and ours[2].details["is_bad_media"]
    with pytest.raises(CheckpointError, match="transformers cannot open"):
        TransformersModel(tmp_path)


def test_many_at_once_are_answered_as_one_by_one(tiny_folder: Path, tmp_path: Path) -> None:
    asked = [
        request(str(idx), StoredFile(path=str(INVOICE)), question=f"What {'is ' * idx}it?")
        for idx in range(5)
    ]
    asked.append(request("gone", StoredFile(path=str(tmp_path / "gone.png"))))
    vlm = latentvlm.load(tiny_folder, device="cpu")
    alone = {each.id: each for each in VLMResponder(vlm, name="x").generate(asked)}
    together = {each.id: each for each in VLMResponder(vlm, name="x", batch=3).generate(asked)}
    assert alone.keys() == together.keys()
    for key, one in alone.items():
        other = together[key]
        assert (one.text, one.finish_reason) == (other.text, other.finish_reason)
    assert together["gone"].details["is_bad_media"]


def test_a_model_that_raises_is_counted_or_ends_the_run() -> None:
    class Broken:
        def ask(self, *arguments, **keywords):
            raise ZeroDivisionError("nothing")

    asked = [request("1"), request("2")]
    found = list(VLMResponder(Broken(), name="x").generate(asked))  # type: ignore[arg-type]
    assert [each.error for each in found] == ["ZeroDivisionError: nothing"] * 2
    with pytest.raises(ZeroDivisionError):
        list(VLMResponder(Broken(), name="x", stops_on_error=True).generate(asked))  # type: ignore[arg-type]


def test_a_video_that_is_cut_short_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "model", config=replace(tiny_config(), video_token_id=400))
    write_clip(tmp_path / "whole.mp4", 12)
    whole = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "torn.mp4").write_bytes(whole[: len(whole) // 3])
    asked = [
        request(name, StoredFile(path=str(tmp_path / f"{name}.mp4")), max_tokens=2)
        for name in ("torn", "whole")
    ]
    vlm = latentvlm.load(tmp_path / "model", device="cpu")
    shown = {"frames": 4, "evs_rate": 0.5}
    responder = VLMResponder(vlm, name="x", arguments=shown, looks=True)
    torn, seen = responder.generate(asked)
    assert torn.finish_reason == "error" and torn.details["is_bad_media"]
    assert "torn.mp4" in torn.error and torn.error.count("\n") == 0
    assert seen.finish_reason != "error" and len(seen.details["frames"][0]["indices"]) == 4
    assert {each["kind"] for each in seen.details["attention"]} == {"frames"}


def command(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main([str(each) for each in arguments])
    said = capsys.readouterr()
    return int(stop.value.code or 0), said.out, said.err


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    put(tmp_path / "mine" / "p.png", picture())
    put(tmp_path / "mine" / "questions.csv", "file,question,answer\np.png,Say,Say\ngone.png,A,B\n")
    return tmp_path / "mine"


def test_the_command_asks_a_model_about_ones_own_folder(
    tiny_folder: Path, mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ("eval", "run", "folder", "--data", mine, "--model", tiny_folder, "--max-tokens", 4)
    code, out, err = command(capsys, *run, "--out", tmp_path / "a", "--json")
    assert code == 0, err
    result = json.loads(out)
    assert {"score", "low", "high", "counts", "kinds", "cost"} <= result.keys()
    assert result["n"] == 1 and result["counts"]["cut_off"] == 1
    assert "left out: questions.csv row 2: there is no gone.png" in err
    manifest = json.loads((tmp_path / "a" / "manifest.json").read_text())
    assert manifest["model"]["dtype"] == "float32" and manifest["decoding"]["max_tokens"] == 4
    line = json.loads((tmp_path / "a" / "responses-model.jsonl").read_text())
    assert line["details"]["image_grids"] and line["details"]["visual_tokens"] > 0

    code, out, err = command(capsys, *run, "--out", tmp_path / "b", "--token-budget", 4)
    assert code == 0 and "1 questions" in out, err
    shown = json.loads((tmp_path / "b" / "manifest.json").read_text())["shown"]
    assert shown == {"token_budget": 4}
    page = tmp_path / "c.html"
    code, out, err = command(
        capsys, "eval", "compare", tmp_path / "a", tmp_path / "b", "--out", page
    )
    assert code == 0 and "points" in out and page.is_file(), err
    code, out, _ = command(capsys, "eval", "rescore", tmp_path / "a", "--profile", "official")
    assert code == 0 and "by official" in out


def test_the_command_asks_a_server(mine: Path, tmp_path: Path, capsys) -> None:
    with chat_server(lambda body: "Say.") as url:
        model = ("--model", f"{url}#served", "--out", tmp_path / "out", "--json")
        code, out, err = command(capsys, "eval", "run", "folder", "--data", mine, *model)
        assert code == 0, err
        assert json.loads(out)["score"] == 1.0
        code, _, err = command(
            capsys, "eval", "run", "folder", "--data", mine, *model, "--evs-rate", 0.5
        )
    assert code == 2 and "cannot be asked of a server" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["docvqq"], "did you mean docvqa?"),
        (["docvqa", "--rung", "line"], "are of latentvlm-docs alone"),
        (["folder", "--profile", "mild"], "no profile 'mild'"),
        (["folder", "--on-error", "cry"], "it is go-on or stop"),
        (["folder", "--data", "/nowhere"], "/nowhere is not there"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(words: list[str], said: str, capsys) -> None:
    code, _, err = command(capsys, "eval", "run", *words)
    assert code == 2 and said in err and err.count("\n") == 1


def test_the_list_says_what_to_put_where(capsys) -> None:
    code, out, _ = command(capsys, "eval", "list")
    assert code == 0 and "docvqa: DocVQA, validation" in out and "lmms-lab/DocVQA" in out
