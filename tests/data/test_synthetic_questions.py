"""Questions and the two sides: answers are on the page, and training shares nothing held out."""

import dataclasses
import re
from collections import Counter

import numpy as np
import pytest

from latentvlm.data.synthetic import GeneratorConfig, generate
from latentvlm.data.synthetic.fonts import HELDOUT_FONTS, TRAIN_FONTS
from latentvlm.data.synthetic.questions import KINDS, NOT_IN_DOCUMENT, PHRASINGS
from latentvlm.data.synthetic.splits import is_heldout
from latentvlm.data.synthetic.templates import TEMPLATES
from latentvlm.data.synthetic.words import words
from latentvlm.data.synthetic.writing import _SENTENCES

LEVELS = ("lines", "small", "page")
SEEDS = {"lines": 60, "small": 60, "page": 30}
LISTS = (
    "first_names", "last_names", "streets", "cities", "companies", "trades", "items", "nouns",
    "verbs", "others",
)  # fmt: skip


@pytest.fixture(scope="module")
def drawn():
    return {
        (level, split): [
            generate(seed, GeneratorConfig(level=level, split=split))
            for seed in range(SEEDS[level])
        ]
        for level in LEVELS
        for split in ("train", "heldout")
    }


def every(drawn, kind):
    for documents in drawn.values():
        for document in documents:
            for qa in document.qas:
                if qa.kind == kind:
                    yield document, qa


def test_values_and_lines_are_answered_as_printed(drawn):
    for kind in ("field", "row", "compare"):
        for document, qa in every(drawn, kind):
            assert any(qa.answer in line for line in document.lines), (document.text, qa)
    for document, qa in every(drawn, "read_line"):
        assert qa.answer in document.lines
        if "last" in qa.question.lower():
            assert qa.answer == document.lines[-1]
        if "first" in qa.question.lower():
            assert qa.answer == document.lines[0]
    for document, qa in every(drawn, "transcribe"):
        assert qa.answer == document.text


def test_counts_are_right(drawn):
    lines = rows = 0
    for document, qa in every(drawn, "count"):
        if re.search(r"\blines\b|rows of text", qa.question):
            assert qa.answer == str(len(document.lines))
            lines += 1
        else:
            assert 1 <= int(qa.answer) <= len(document.text.split())
            rows += 1
    assert lines and rows


def test_charts_are_compared_by_their_numbers(drawn):
    checked = 0
    for document, qa in every(drawn, "compare"):
        if document.template.startswith("chart") and "columns" not in document.template:
            bars = [line for line in document.lines[-8:] if line[-1].isdigit()]
            numbers = dict(line.rsplit(" ", 1) for line in bars)
            if re.search(r"lowest|smallest|least|last by", qa.question):
                assert int(numbers[qa.answer]) == min(map(int, numbers.values()))
                checked += 1
            elif not any(f"{a}" in qa.question for a in numbers):
                assert int(numbers[qa.answer]) == max(map(int, numbers.values()))
                checked += 1
    assert checked


def test_totals_add_up(drawn):
    checked = 0
    for level in ("small", "page"):
        for document in drawn[level, "train"]:
            if not document.template.startswith("receipt"):
                continue
            amounts = [
                int(re.sub(r"\D", "", match))
                for line in document.lines
                for match in re.findall(r"\d[\d.,]*[.,]\d\d$", line)
            ]
            assert any(sum(amounts[:idx]) == amounts[idx] for idx in range(1, len(amounts)))
            checked += 1
    assert checked


def test_what_is_absent_is_absent_and_yes_and_no_balance(drawn):
    for _, qa in every(drawn, "absent"):
        assert qa.answer == NOT_IN_DOCUMENT
    answers = Counter(qa.answer for _, qa in every(drawn, "yes_no"))
    assert set(answers) == {"Yes", "No"}
    assert 0.35 < answers["Yes"] / answers.total() < 0.65
    for document, qa in every(drawn, "yes_no"):
        listed = re.fullmatch(r"(?:Is (.+) listed|Does it list (.+))\?", qa.question)
        if listed:
            assert (qa.answer == "Yes") == ((listed[1] or listed[2]) in document.text)


def test_documents_ask_several_kinds_of_question(drawn):
    kinds = Counter(qa.kind for docs in drawn.values() for d in docs for qa in d.qas)
    assert set(kinds) == set(KINDS)
    for documents in drawn.values():
        for document in documents:
            assert 3 <= len(document.qas) <= 6
            assert len({qa.kind for qa in document.qas}) >= 3
            assert len({qa.question for qa in document.qas}) == len(document.qas)


def test_phrasings_are_many_and_split():
    for what, (train, heldout) in PHRASINGS.items():
        assert len(train) >= 8 and len(heldout) >= 2, what
        assert not set(train) & set(heldout)


def test_training_asks_no_heldout_phrasing(drawn):
    patterns = [
        re.compile(re.sub(r"\\\{\w+\\\}", ".+", re.escape(text)) + "$")
        for text in PHRASINGS["field"][1] + PHRASINGS["transcribe"][1] + PHRASINGS["read_line"][1]
    ]

    def uses(split):
        questions = [qa.question for level in LEVELS for d in drawn[level, split] for qa in d.qas]
        return sum(any(pattern.match(question) for pattern in patterns) for question in questions)

    assert uses("train") == 0
    assert uses("heldout") > 20


def test_words_templates_fonts_and_sentences_are_split(drawn):
    for name in LISTS:
        train, heldout = words(name, "train"), words(name, "heldout")
        assert len(train) >= 30 and len(heldout) >= 5, name
        assert not set(train) & set(heldout)
    assert not set(_SENTENCES[0]) & set(_SENTENCES[1])
    for level in LEVELS:
        for split, fonts in (("train", TRAIN_FONTS), ("heldout", HELDOUT_FONTS)):
            for document in drawn[level, split]:
                assert document.font in fonts
                assert TEMPLATES[document.template].heldout == (split == "heldout")
    kinds = {template.kind for template in TEMPLATES.values()}
    for heldout in (False, True):
        assert {t.kind for t in TEMPLATES.values() if t.heldout == heldout} == kinds


def test_heldout_values_cannot_occur_in_training(drawn):
    checked = 0
    for level in LEVELS:
        for split in ("train", "heldout"):
            for document in drawn[level, split]:
                for qa in document.qas:
                    # Ids, dates, amounts, phone numbers: whatever is long and not a name.
                    if qa.slot and len(qa.answer) > 5 and re.search(r"\d{3}", qa.answer):
                        if qa.slot in ("street", "weight"):
                            continue  # built of words and of a short number
                        assert is_heldout(qa.answer) == (split == "heldout"), qa
                        checked += 1
    assert checked > 100


def test_chosen_kinds_alone_are_asked():
    config = GeneratorConfig(level="small", question_kinds=("transcribe", "absent"))
    kinds = {qa.kind for seed in range(20) for qa in generate(seed, config).qas}
    assert kinds == {"transcribe", "absent"}


def test_more_lookups_come_after_the_others_and_are_found_on_the_page():
    few = GeneratorConfig(level="small", question_kinds=("field", "row", "absent"))
    many = dataclasses.replace(few, more_lookups=12)
    gained = 0
    for seed in range(20):
        short, long = generate(seed, few), generate(seed, many)
        assert long.qas[: len(short.qas)] == short.qas
        assert np.array_equal(long.image, short.image)
        values = [(qa.kind, qa.slot) for qa in long.qas if qa.kind == "field"]
        assert len(values) == len(set(values))
        assert all(qa.answer in long.text for qa in long.qas if qa.kind in ("field", "row"))
        gained += len(long.qas) - len(short.qas)
    assert gained > 40
