"""Numbers in JSON come to an end, whatever a model would write."""

import json
from pathlib import Path

import pytest

from latentvlm.vlm.api import load
from latentvlm.vlm.json_numbers import with_bounds
from latentvlm.vlm.sampling import GenerationConfig

BOUNDS = {"minimum": -(10**15), "maximum": 10**15}
ENDS = {**BOUNDS, "multipleOf": 1e-9}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"type": "number"}, {"type": "number", **ENDS}),
        ({"type": "integer"}, {"type": "integer", **BOUNDS}),
        ({"type": ["number", "null"]}, {"type": ["number", "null"], **ENDS}),
        ({"type": "integer", "minimum": 10**16}, {"type": "integer", "minimum": 10**16}),
        (
            {"type": "number", "maximum": 9, "multipleOf": 0.5},
            {"type": "number", "maximum": 9, "multipleOf": 0.5},
        ),
        ({"type": "string", "enum": ["number"]}, {"type": "string", "enum": ["number"]}),
        ({"const": {"type": "number"}}, {"const": {"type": "number"}}),
        ({"type": "number", "enum": [1e20]}, {"type": "number", "enum": [1e20]}),
        (
            {"properties": {"type": {"type": "integer"}}, "required": ["type"]},
            {"properties": {"type": {"type": "integer", **BOUNDS}}, "required": ["type"]},
        ),
        ({"anyOf": [{"type": "number"}]}, {"anyOf": [{"type": "number", **ENDS}]}),
        (True, True),
    ],
)
def test_what_has_no_bounds_gets_some(given: object, wanted: object) -> None:
    assert with_bounds(given) == wanted


def test_a_model_that_does_not_stop_is_stopped(tiny_folder: Path) -> None:
    vlm = load(tiny_folder, device="cpu", dtype="float32")
    number = {"type": "number"}
    schema = {
        **{"type": "object", "properties": {"a": number, "b": {"anyOf": [number]}}},
        **{"required": ["a", "b"], "additionalProperties": False},
    }
    for seed in range(4):
        config = GenerationConfig(max_tokens=90, temperature=1.5, seed=seed)
        answer = vlm.ask("Who?", answer_format=schema, generation=config)
        found = json.loads(answer.text)
        assert answer.finish_reason == "stop" and all(abs(each) <= 1e15 for each in found.values())
