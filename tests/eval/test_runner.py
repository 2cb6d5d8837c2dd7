"""Responses survive a stop at any moment, and none is asked for twice."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.responders import FakeResponder

from latentvlm.errors import DataError
from latentvlm.eval.runner import run
from latentvlm.eval.samples import Request, Response


def make_requests(count: int = 5, question: str = "What?") -> list[Request]:
    image = np.zeros((4, 4, 3), dtype=np.uint8)
    return [
        Request(id=f"q{idx}", question=f"{question} {idx}", media=(image,), max_tokens=8)
        for idx in range(count)
    ]


def test_responses_are_written_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "responses.jsonl"
    responses = run(make_requests(), FakeResponder(lambda r: r.question.upper()), path)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["text"] for line in lines] == [f"WHAT? {idx}" for idx in range(5)]
    assert [line["question"] for line in lines] == [f"What? {idx}" for idx in range(5)]
    assert responses["q3"] == Response(id="q3", text="WHAT? 3")


def test_a_stopped_run_goes_on_even_from_half_a_line(tmp_path: Path) -> None:
    path = tmp_path / "responses.jsonl"
    run(make_requests(), FakeResponder(lambda r: "é" * 3), path)
    whole = path.read_bytes()
    ends = [idx for idx, byte in enumerate(whole) if byte == 10]
    for cut in (0, 1, ends[0], ends[0] + 1, ends[2] - 3, len(whole) - 1, len(whole)):
        path.write_bytes(whole[:cut])
        responder, seen = FakeResponder(lambda r: "é" * 3), []
        responses = run(make_requests(), responder, path, on_response=lambda r, s=seen: s.append(r))
        assert path.read_bytes() == whole
        assert len(responder.asked) == 5 - whole[:cut].count(b"\n")
        assert len(responses) == len(seen) == 5


def test_a_larger_limit_asks_only_what_is_new(tmp_path: Path) -> None:
    path = tmp_path / "responses.jsonl"
    run(make_requests(2), FakeResponder(lambda r: "a"), path)
    responder = FakeResponder(lambda r: "a")
    assert len(run(make_requests(5), responder, path)) == 5
    assert responder.asked == ["q2", "q3", "q4"]
    assert list(run(make_requests(1), responder, path)) == ["q0"]


def test_answers_of_another_model_or_question_are_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "responses.jsonl"
    run(make_requests(), FakeResponder(lambda r: "a"), path)
    before = path.read_bytes()
    with pytest.raises(DataError, match="line 1 .*another model"):
        run(make_requests(), FakeResponder(lambda r: "a", name="other"), path)
    with pytest.raises(DataError, match="line 1 .*another question"):
        run(make_requests(question="Who?"), FakeResponder(lambda r: "a"), path)
    assert path.read_bytes() == before


def test_missing_and_mixed_up_responses_are_errors(tmp_path: Path) -> None:
    class Silent(FakeResponder):
        def generate(self, requests):
            yield from list(super().generate(requests))[:2]

    with pytest.raises(DataError, match="no response to 3 requests: q2"):
        run(make_requests(), Silent(lambda r: "a"), tmp_path / "a.jsonl")
    swapped = FakeResponder(lambda r: Response(id="q4", text=""))
    with pytest.raises(DataError, match="answered q4 again"):
        run(make_requests(), swapped, tmp_path / "b.jsonl")
    stranger = FakeResponder(lambda r: Response(id="q9", text=""))
    with pytest.raises(DataError, match="answered q9 without being asked"):
        run(make_requests(), stranger, tmp_path / "e.jsonl")
    with pytest.raises(DataError, match="2 requests have only 1"):
        run(make_requests(1) * 2, swapped, tmp_path / "c.jsonl")
    (tmp_path / "d.jsonl").write_text("{}\nnonsense\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"d\.jsonl line 2 is no JSON"):
        run(make_requests(), swapped, tmp_path / "d.jsonl")
