"""A call that must be made: whatever the model would say, what it says is a call of that tool."""

from pathlib import Path

import pytest
from support.thinking import WEATHER, Scripted

from latentvlm.errors import ConfigError, PromptError
from latentvlm.vlm.answer import Answer
from latentvlm.vlm.api import VLM, load
from latentvlm.vlm.asking import make_request
from latentvlm.vlm.sampling import GenerationConfig
from latentvlm.vlm.tool_grammar import call_grammar

PAY = {
    "type": "function",
    "function": {
        "name": "pay",
        "parameters": {
            "type": "object",
            "properties": {
                "sum": {"type": "integer", "minimum": 0, "maximum": 999},
                "money": {"type": "string", "enum": ["EUR", "US dollar"]},
                "item": {"$ref": "#/$defs/item"},
                "to": {"type": "array", "items": {"$ref": "#/$defs/item"}, "maxItems": 2},
                "now": {"type": "boolean"},
            },
            "required": ["sum", "money", "now"],
            "additionalProperties": False,
            "$defs": {"item": {"type": "integer", "minimum": 1, "maximum": 9}},
        },
    },
}
FREE = {"type": "function", "function": {"name": "list_all", "parameters": {"properties": {}}}}


@pytest.fixture(params=["2", "3"])
def scripted(request: pytest.FixtureRequest, tmp_path: Path) -> Scripted:
    return Scripted(tmp_path, request.param)


def called(
    vlm: VLM, choice: str, *tools: dict, seed: int = 0, temperature: float = 1.0, **options
) -> Answer:
    config = GenerationConfig(max_tokens=600, temperature=temperature, seed=seed)
    options = {"thinking": False, **options}
    asked = make_request(
        [{"role": "user", "content": "Who?"}],
        tools=tools,
        tool_choice=choice,
        generation=config,
        **options,
    )
    with vlm.new_engine() as engine:
        return engine.submit(vlm.prepare(asked))[0].read()


def check_pay(arguments) -> None:
    assert {"sum", "money", "now"} <= arguments.keys() <= {"sum", "money", "now", "item", "to"}
    assert 0 <= arguments["sum"] <= 999 and isinstance(arguments["sum"], int)
    assert arguments["money"] in ("EUR", "US dollar") and isinstance(arguments["now"], bool)
    items = [*arguments.get("to", []), *([arguments["item"]] if "item" in arguments else [])]
    assert all(1 <= int(item) <= 9 for item in items)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_model_that_would_talk_calls_the_tool_it_must(scripted: Scripted, seed: int) -> None:
    answer = called(scripted.vlm("It is twelve."), "pay", WEATHER, PAY, seed=seed)
    assert answer.finish_reason == "stop" and not answer.text and not answer.warnings
    (call,) = answer.tool_calls
    assert call.name == "pay"
    check_pay(call.arguments)
    free = called(scripted.vlm("It is twelve."), "auto", WEATHER, PAY, seed=seed)
    assert not free.tool_calls


def test_required_is_any_of_the_tools(scripted: Scripted) -> None:
    names = set()
    for seed in range(8):
        (call,) = called(scripted.vlm("It."), "required", FREE, PAY, seed=seed).tool_calls
        names.add(call.name)
        if call.name == "pay":
            check_pay(call.arguments)
    assert names == {"list_all", "pay"}


def test_a_text_may_hold_anything_but_its_own_end(tmp_path: Path) -> None:
    scripted = Scripted(tmp_path, "3")
    place = 'Bonn <b> & "Köln"\n</param>'
    body = f"\n<function=weather>\n<parameter=place>\n{place}\n</parameter>\n"
    body += "<parameter=days>\n3\n</parameter>\n</function>\n"
    vlm = scripted.vlm(f"<tool_call>{body}</tool_call>")
    answer = called(vlm, "weather", WEATHER, temperature=0.0)
    (call,) = answer.tool_calls
    assert call.arguments == {"place": place, "days": 3}


def test_the_call_begins_after_the_thought(scripted: Scripted) -> None:
    vlm = scripted.vlm("So the total is twelve.</think>", "It is.")
    answer = called(vlm, "pay", PAY, thinking=True)
    assert answer.reasoning == "So the total is twelve." and answer.tool_calls[0].name == "pay"


def test_what_cannot_be_forced_is_said(scripted: Scripted, tiny_folder: Path) -> None:
    processor = scripted.processor
    assert call_grammar(processor, [PAY], "auto") is None
    with pytest.raises(ConfigError, match="asks for 'walk'; the tools are 'pay'"):
        call_grammar(processor, [PAY], "walk")
    with pytest.raises(ConfigError, match="the tools are none"):
        call_grammar(processor, [], "required")
    with pytest.raises(ConfigError, match="tool_choice is 7"):
        call_grammar(processor, [PAY], 7)  # type: ignore[arg-type]
    with pytest.raises(PromptError, match="does not say how tools are called"):
        call_grammar(load(tiny_folder, device="cpu").processor, [PAY], "required")
    with pytest.raises(ConfigError, match="ask for one of them"):
        called(scripted.vlm("It."), "pay", PAY, answer_format="json")
    odd = {"name": "odd", "parameters": {"properties": {"x": {"type": "integer", "not": {}}}}}
    with pytest.raises(ConfigError, match="cannot be followed"):
        called(scripted.vlm("It."), "odd", odd)
