"""Each profile gives what its owner's own functions gave to the same pairs.

`tests/support/record_kit_scores.py` records; the commits are in each file.
"""

import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest
from support.kit_code import commits
from support.metric_pairs import LACKING, MAKERS, pairs

from latentvlm.eval.metrics import METRICS, Gold, Grade, Metric, Outcome, Profile
from latentvlm.eval.metrics.grade import Grader
from latentvlm.eval.metrics.ocrbench_v2 import ocrbench_v2
from latentvlm.eval.metrics.page_text import Language

RECORDED = Path(__file__).parent / "kit_scores"
RANDOM = -1.0
KITS = {
    Profile.LMMS_EVAL: ("lmms_eval.npz", commits.LMMS_EVAL),
    Profile.VLMEVALKIT: ("vlmevalkit.npz", commits.VLMEVALKIT),
    Profile.OFFICIAL: ("authors.npz", commits.authors()),
}


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


def check(name: str, language: Language, count: int) -> None:
    """Grades each pair under every profile, once where two profiles have one and the same rule."""
    metric = metric_of(name, language)
    expected = {each: recorded(each, name) for each in KITS if name not in LACKING.get(each, ())}
    assert expected and all(len(scores) == 5000 for scores in expected.values())
    wrong = []
    for idx, (prediction, gold) in enumerate(pairs(name, count)):
        grades: dict[Grader, Grade] = {}
        for profile, scores in expected.items():
            rule = metric.graders[profile]
            if rule not in grades:
                grades[rule] = metric.grade(prediction, gold, profile=profile)
            if not is_same(grades[rule], scores[idx], gold):
                wrong.append((str(profile), prediction, gold, scores[idx], grades[rule]))
    assert not wrong, f"{len(wrong)} of {count}: {wrong[:3]}"


def is_same(grade: Grade, score: float, gold: Gold) -> bool:
    if score != RANDOM:
        return math.isclose(grade.score, score, abs_tol=1e-9) and not grade.chance
    same = grade.chance == 1 / len(gold.options) and grade.score == 0
    return same and grade.outcome in (Outcome.UNPARSED, Outcome.EMPTY)


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_the_first_pairs(name: str, language: Language) -> None:
    check(name, language, 300)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MAKERS))
def test_all_pairs(name: str, language: Language) -> None:
    check(name, language, 5000)
