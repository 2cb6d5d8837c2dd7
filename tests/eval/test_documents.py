"""The benchmark is held out, fixed, and cut by its limit from the beginning."""

import dataclasses

import numpy as np
import pytest

from latentvlm.data.synthetic import generate
from latentvlm.data.synthetic.fonts import HELDOUT_FONTS, TRAIN_FONTS
from latentvlm.errors import ConfigError
from latentvlm.eval.documents import RUNGS, VERSION, content_hash, document_samples


def test_the_questions_are_the_same_each_time_and_a_limit_takes_the_first() -> None:
    first = document_samples(("lines",), limit=12)
    again = document_samples(("lines",), limit=12)
    fewer = document_samples(("lines",), limit=5)
    assert content_hash(first) == content_hash(again)
    assert [s.id for s in fewer] == [s.id for s in first[:5]]
    assert content_hash(fewer) == content_hash(first[:5]) != content_hash(first)


def test_the_questions_are_those_of_this_version() -> None:
    expected = {
        "line-one-font": "c5a779a8ee639471",
        "line": "65759b48875e56cc",
        "lines": "826079a92b4ffd24",
        "small": "0b08a477ee673928",
        "page": "ed4d4e6ea1a57202",
    }
    found = {name: content_hash(document_samples((name,), limit=4)) for name in RUNGS}
    assert (VERSION, found) == (2, expected), "other questions are another version: count it up"


@pytest.mark.parametrize("change", ["question", "image", "answer", "kind"])
def test_the_hash_sees_every_part(change: str) -> None:
    samples = document_samples(("line",), limit=2)
    sample = samples[0]
    if change == "question":
        request = dataclasses.replace(sample.request, question="Else?")
        sample = dataclasses.replace(sample, request=request)
    elif change == "image":
        image = sample.request.image.copy()
        image[0, 0, 0] ^= 1
        request = dataclasses.replace(sample.request, media=(image,))
        sample = dataclasses.replace(sample, request=request)
    elif change == "answer":
        sample = dataclasses.replace(sample, golds=("else",))
    else:
        sample = dataclasses.replace(sample, kind="else")
    assert content_hash([sample, samples[1]]) != content_hash(samples)


def test_all_rungs_are_held_out_and_only_the_first_has_a_training_font() -> None:
    for name, rung in RUNGS.items():
        assert rung.config.split == "heldout", name
        known = TRAIN_FONTS if name == "line-one-font" else HELDOUT_FONTS
        assert set(rung.config.font_names) <= set(known), name
    assert len(RUNGS["line-one-font"].config.font_names) == 1


def test_a_sample_is_the_document_of_its_seed() -> None:
    for sample in document_samples(limit=2):
        document = generate(sample.seed, sample.config)
        assert np.array_equal(document.image, sample.request.image)
        asked = {(qa.kind, qa.question, qa.answer, qa.slot) for qa in document.qas}
        assert (sample.kind, sample.request.question, sample.golds[0], sample.slot) in asked
        assert sample.document_text == document.text
        # Even a tokenizer of single bytes has room for the answer.
        assert len(sample.golds[0].encode("utf-8")) < sample.request.max_tokens


def test_a_wrong_rung_or_limit_is_named() -> None:
    with pytest.raises(ConfigError, match="'linse'.*line-one-font"):
        document_samples(("linse",))
    with pytest.raises(ConfigError, match="limit is 0"):
        document_samples(limit=0)
