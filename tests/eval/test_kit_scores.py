"""The kits' profiles give what the kits' own functions gave to the same pairs.

`tests/support/record_kit_scores.py` records; the kit's commit is in each file.
"""

import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest
from support.metric_pairs import LACKING, MAKERS, pairs

from latentvlm.eval.metrics import METRICS, Metric, Outcome, Profile
from latentvlm.eval.metrics.ocrbench_v2 import ocrbench_v2
from latentvlm.eval.metrics.page_text import Language

RECORDED = Path(__file__).parent / "kit_scores"
RANDOM = -1.0
KITS = {
    Profile.LMMS_EVAL: ("lmms_eval.npz", "75571cfe0fa36ca5ec2e6aa2bb268f9d38295af3"),
    Profile.VLMEVALKIT: ("vlmevalkit.npz", "e8e78f05f3080fe28154f2130321f17951c3be94"),
}
CASES = [
    (profile, name)
    for profile in sorted(KITS)
    for name in sorted(MAKERS)
    if name not in LACKING.get(profile, ())
]


@pytest.fixture(scope="module")
def language() -> Language:
    """What jieba and WordNet said when the scores were recorded."""
    with gzip.open(RECORDED / "language.json.gz", "rt", encoding="utf-8") as file:
        said = json.load(file)
    return Language(
        segment=lambda text: said["cuts"][text],
        stem=lambda word: said["stems"].get(word, word),
        synonyms=lambda word: set(said["synonyms"].get(word, ())),
    )


def metric_of(name: str, language: Language) -> Metric:
    return ocrbench_v2(language) if name.startswith("ocrbench_v2/") else METRICS[name]


def recorded(profile: Profile, name: str) -> np.ndarray:
    file, commit = KITS[profile]
    with np.load(RECORDED / file) as scores:
        assert str(scores["commit"]) == commit
        return scores[f"{name}:levels"][scores[f"{name}:places"]]


def check(profile: Profile, name: str, language: Language, count: int) -> None:
    metric = metric_of(name, language)
    scores = recorded(profile, name)
    assert len(scores) == 5000
    wrong = []
    for score, (prediction, gold) in zip(scores[:count], pairs(name, count), strict=False):
        grade = metric.grade(prediction, gold, profile=profile)
        if score == RANDOM:
            same = grade.chance == 1 / len(gold.options) and grade.score == 0
            same = same and grade.outcome in (Outcome.UNPARSED, Outcome.EMPTY)
        else:
            same = math.isclose(grade.score, score, abs_tol=1e-9) and not grade.chance
        if not same:
            wrong.append((prediction, gold, score, grade))
    assert not wrong, f"{len(wrong)} of {count}: {wrong[:3]}"


@pytest.mark.parametrize(("profile", "name"), CASES)
def test_the_first_pairs(profile: Profile, name: str, language: Language) -> None:
    check(profile, name, language, 300)


@pytest.mark.slow
@pytest.mark.parametrize(("profile", "name"), CASES)
def test_all_pairs(profile: Profile, name: str, language: Language) -> None:
    check(profile, name, language, 5000)


def test_the_authors_rule_for_open_answers_is_their_two_functions_in_a_row() -> None:
    with np.load(RECORDED / KITS[Profile.LMMS_EVAL][0]) as scores:
        expected = scores["official/mmmu_open:levels"][scores["official/mmmu_open:places"]]
    for score, (prediction, gold) in zip(expected, pairs("mmmu_open", 5000), strict=True):
        grade = METRICS["mmmu_open"].grade(prediction, gold, profile="official")
        assert grade.score == score, (prediction, gold)
