"""Controls tell a reader from a model that remembers, guesses or says one thing always."""

from pathlib import Path

import numpy as np
from support.responders import FakeResponder, truth_teller

from latentvlm.data.synthetic.questions import NOT_IN_DOCUMENT
from latentvlm.eval.controls import CONTROLS, ControlCase, control_cases, score_controls
from latentvlm.eval.documents import document_samples
from latentvlm.eval.metrics import normalize
from latentvlm.eval.runner import run
from latentvlm.eval.samples import Response

SAMPLES = document_samples(("lines",), limit=40)


def make_cases() -> list[ControlCase]:
    right = {s.id: Response(id=s.id, text=s.golds[0]) for s in SAMPLES}
    return control_cases(SAMPLES, right, limit=8)


CASES = make_cases()


def test_each_control_changes_the_page_and_nothing_else() -> None:
    originals = {sample.id: sample for sample in SAMPLES}
    assert {case.control for case in CASES} == set(CONTROLS)
    for case in CASES:
        original = originals[case.request.id.split("#")[0]]
        assert case.request.question == original.request.question
        assert case.before == original.golds[0]
        assert not np.array_equal(case.request.image, original.request.image)
        if case.control == "blank":
            assert len(np.unique(case.request.image.reshape(-1, 3), axis=0)) == 1
            assert case.request.image.shape == original.request.image.shape
        if case.control == "other":
            pages = [s for s in SAMPLES if np.array_equal(s.request.image, case.request.image)]
            assert normalize(case.before) not in normalize(pages[0].document_text)
        if case.control == "redrawn":
            assert case.after not in (None, case.before)
            assert original.slot


def test_only_right_answers_are_controlled_and_the_limit_holds() -> None:
    wrong = {s.id: Response(id=s.id, text="?") for s in SAMPLES}
    assert control_cases(SAMPLES, wrong) == []
    assert score_controls([], {})["redrawn"]["all"] == {"n": 0, "keeps": None, "absent": None}
    for control in CONTROLS:
        assert 0 < sum(case.control == control for case in CASES) <= 8


def test_a_reader_follows_and_a_memory_does_not(tmp_path: Path) -> None:
    shown = {case.request.id: case for case in CASES}

    def read(request):
        return shown[request.id].after or NOT_IN_DOCUMENT

    requests = [case.request for case in CASES]
    reader = score_controls(CASES, run(requests, FakeResponder(read), tmp_path / "reader"))
    assert reader["redrawn"]["all"]["follows"] == 1.0
    assert reader["redrawn"]["rungs"]["lines"]["keeps"] == 0.0
    for control in ("blank", "other"):
        assert reader[control]["all"]["keeps"] == 0.0
        assert reader[control]["all"]["absent"] == 1.0
    memory = score_controls(CASES, run(requests, truth_teller(SAMPLES), tmp_path / "memory"))
    for control in CONTROLS:
        assert memory[control]["all"]["keeps"] == 1.0
    assert memory["redrawn"]["all"]["follows"] == 0.0
