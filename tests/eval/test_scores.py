"""A perfect reader scores 100%, a silent one 0, and nothing leaves the denominator."""

import numpy as np
import pytest

from latentvlm.data.synthetic.questions import NOT_IN_DOCUMENT
from latentvlm.eval.documents import document_samples
from latentvlm.eval.samples import Request, Response, Sample
from latentvlm.eval.scores import calibration, score


def make_sample(idx: int, gold: str, kind: str = "field") -> Sample:
    image = np.zeros((2, 2, 3), dtype=np.uint8)
    request = Request(id=f"s{idx}", question="?", media=(image,), max_tokens=8)
    return Sample(request=request, rung="lines", kind=kind, golds=(gold,))


def test_a_perfect_reader_a_silent_one_and_one_that_always_says_the_same() -> None:
    samples = document_samples(("lines", "line"), limit=40)
    perfect = {s.id: Response(id=s.id, text=f" {s.golds[0]}\n") for s in samples}
    for about in score(samples, perfect).values():
        for cell in (about["all"], *about["kinds"].values()):
            assert (cell["exact"], cell["anls"], cell["cer"]) == (1.0, 1.0, 0.0)
    silent = {s.id: Response(id=s.id, text=" ") for s in samples}
    for about in score(samples, silent).values():
        cell = about["all"]
        assert (cell["exact"], cell["anls"], cell["cer"], cell["empty"]) == (0, 0, 1, 40)
    constant = {s.id: Response(id=s.id, text=NOT_IN_DOCUMENT) for s in samples}
    about = score(samples, constant)["lines"]
    absent = sum(s.kind == "absent" for s in samples)
    assert absent > 0
    assert about["kinds"]["absent"]["exact"] == 1.0
    assert about["kinds"]["field"]["exact"] == 0.0
    assert about["all"]["exact"] == pytest.approx(absent / 40)
    assert sum(cell["n"] for cell in about["kinds"].values()) == about["all"]["n"] == 40


def test_cut_off_and_failed_answers_are_wrong_even_when_they_read_right() -> None:
    samples = [make_sample(idx, "12.50") for idx in range(4)]
    responses = {
        "s0": Response(id="s0", text="12.50"),
        "s1": Response(id="s1", text="12.50", finish_reason="length"),
        "s2": Response(id="s2", text="", finish_reason="error", error="broken"),
        "s3": Response(id="s3", text="12.5"),
    }
    cell = score(samples, responses)["lines"]["all"]
    assert (cell["n"], cell["empty"], cell["cut_off"], cell["failed"]) == (4, 0, 1, 1)
    assert cell["exact"] == 0.25
    assert cell["anls"] == pytest.approx((1 + 0 + 0 + 0.8) / 4)
    assert cell["cer"] == pytest.approx((0 + 0 + 5 + 1) / 20)


def test_calibration_counts_the_sure_and_finds_where_doubt_begins() -> None:
    confidences = [0.1, 0.2, 0.3, 0.6, 0.8, 0.92, 0.95, 0.99, 1.0]
    right = [False, False, True, False, True, True, True, False, True]
    samples = [make_sample(idx, "yes") for idx in range(len(right))]
    responses = {
        f"s{idx}": Response(id=f"s{idx}", text="yes" if hit else "no", confidence=value)
        for idx, (value, hit) in enumerate(zip(confidences, right, strict=True))
    }
    result = calibration(samples, responses)
    assert result is not None
    assert result["above_0.9"] == {"n": 4, "exact": 0.75}
    assert sum(each["n"] for each in result["bins"]) == len(right)
    assert result["bins"][0] == {"low": 0.0, "high": 0.5, "n": 3, "exact": 0.3333}
    # Below 0.92 two of five are right; below 0.95 already three of six.
    assert result["low_confidence"] == 0.92
    unsure = {id: Response(id=id, text="yes") for id in responses}
    assert calibration(samples, unsure) is None
