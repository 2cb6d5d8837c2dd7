"""Answers in JSON: whatever the model would say, what it says is the schema's."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.thinking import Scripted

from latentvlm.errors import ConfigError
from latentvlm.vlm.api import load
from latentvlm.vlm.sampling import GenerationConfig
from latentvlm.vlm.vlm import VLM

SCHEMA = {
    "type": "object",
    "properties": {
        "number": {"type": "integer", "minimum": 0, "maximum": 99},
        "kind": {"enum": ["invoice", "letter"]},
        "paid": {"type": "boolean"},
    },
    "required": ["number", "kind", "paid"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def vlm(tiny_folder: Path) -> VLM:
    return load(tiny_folder, device="cpu", dtype="float32")


def check(text: str) -> None:
    value = json.loads(text)
    assert value.keys() == {"number", "kind", "paid"}
    assert 0 <= value["number"] <= 99
    assert value["kind"] in ("invoice", "letter") and isinstance(value["paid"], bool)


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_a_random_model_writes_what_the_schema_says(vlm: VLM, temperature: float) -> None:
    page = np.random.default_rng(0).integers(0, 256, (48, 80, 3), dtype=np.uint8)
    config = GenerationConfig(max_tokens=80, temperature=temperature, seed=4)
    answer = vlm.ask("Who?", page, answer_format=SCHEMA, generation=config)
    check(answer.text)
    assert answer.finish_reason == "stop"
    assert answer.token_ids[-1] in vlm.end_ids
    free = vlm.ask("Who?", page, generation=config)
    with pytest.raises(ValueError):
        json.loads(free.text)
    # the confidence is of the model itself, not of the model within the grammar
    assert all(each <= 0 for each in answer.logprobs) and answer.confidence < 0.9


def test_constrained_answers_in_a_batch_are_as_alone(vlm: VLM) -> None:
    config = GenerationConfig(max_tokens=80, temperature=1.5, seed=9)
    alone = vlm.ask("Who?", answer_format=SCHEMA, generation=config)
    questions = [{"question": "Who?", "answer_format": SCHEMA}, "Who?", "When?"]
    found = vlm.ask_batch(questions, generation=config)
    assert found[0].token_ids == alone.token_ids
    assert found[1].text == vlm.ask("Who?", generation=config).text


@pytest.mark.parametrize("kind", ["2", "3"])
def test_the_grammar_begins_after_the_thought(tmp_path: Path, kind: str) -> None:
    scripted = Scripted(tmp_path, kind)
    vlm = scripted.vlm("So the total is twelve.</think>", "{}{}")
    answer = vlm.ask("Who?", thinking=True, answer_format=SCHEMA)
    assert answer.reasoning == "So the total is twelve."
    check(answer.text)


def test_the_grammar_begins_after_a_thought_that_was_closed(tmp_path: Path) -> None:
    scripted = Scripted(tmp_path, "3")
    vlm = scripted.vlm("So the total is twelve, as the second line says.", "It is.")
    answer = vlm.ask("Who?", thinking=True, thinking_budget=4, answer_format=SCHEMA)
    assert answer.reasoning and answer.reasoning_finish == "budget"
    check(answer.text)


def test_any_object(vlm: VLM) -> None:
    config = GenerationConfig(max_tokens=400, temperature=0.7, seed=1)
    answer = vlm.ask("Who?", answer_format="json", generation=config)
    assert answer.text.startswith("{")
    if answer.finish_reason == "stop":
        assert isinstance(json.loads(answer.text), dict)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "colour"}, "cannot be followed"),
        ({"type": "string", "pattern": "("}, "cannot be followed"),
        ({"$ref": "http://example.com/x"}, "cannot be followed"),
        ({"type": {1, 2}}, "cannot be written as JSON"),
        ("yaml", "'json' or a JSON schema"),
        ({"enum": ["x" * 100_001]}, "at most 100000"),
    ],
)
def test_a_schema_that_cannot_be(vlm: VLM, schema, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        vlm.ask("Who?", answer_format=schema)
