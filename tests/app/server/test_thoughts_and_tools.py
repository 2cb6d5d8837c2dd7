"""Thoughts, tools and their streams over HTTP, by models that follow a script."""

import json
from collections.abc import Callable

import openai
import pytest
from support.openai_requests import create, user
from support.thinking import WEATHER, Scripted

THOUGHT, ANSWER = "So the total is twelve.", "It is twelve."
SCHEMA = {
    "type": "object",
    "properties": {"number": {"type": "integer", "minimum": 0, "maximum": 99}},
    "required": ["number"],
    "additionalProperties": False,
}
DAYS = {
    "name": "days",
    "parameters": {
        "type": "object",
        "properties": {"count": {"type": "integer", "minimum": 1, "maximum": 9}},
        "required": ["count"],
    },
}
CALL = (
    "<tool_call>\n<function=weather>\n<parameter=place>\nBonn\n</parameter>\n</function>\n"
    "</tool_call>"
)


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Scripted:
    return Scripted(tmp_path_factory.mktemp("scripted"), "3")


@pytest.fixture
def says(scripted: Scripted, serve_of: Callable) -> Callable:
    """`with says(before, after) as server`: the texts before and after its thought is closed."""
    return lambda before, after="": serve_of(scripted.vlm(before, after))


def test_a_thought_comes_apart(says: Callable) -> None:
    with says(f"{THOUGHT}</think>", ANSWER) as server:
        found = create(server.client(), user("Who?"), max_tokens=200)
        message = found.choices[0].message
        assert (message.reasoning_content, message.content) == (THOUGHT, ANSWER)
        told = found.usage.completion_tokens_details
        assert 0 < told.reasoning_tokens < found.usage.completion_tokens
        texts, tokens = {"reasoning_content": "", "content": ""}, ""
        for chunk in create(
            server.client(), user("Who?"), max_tokens=200, stream=True, logprobs=True
        ):
            for choice in chunk.choices:
                for key in texts:
                    texts[key] += getattr(choice.delta, key, None) or ""
                told = choice.logprobs.content if choice.logprobs else []
                tokens += "".join(each.token for each in told)
        assert tokens.strip() == ANSWER, "those of the thought are not told"
        assert texts == {"reasoning_content": THOUGHT, "content": ANSWER}


def test_a_thought_is_off_short_or_cut(scripted: Scripted, says: Callable) -> None:
    long = "So the total is twelve, as the second line says. " * 9
    with says(f"{long}</think>", ANSWER) as server:

        def ask(**more) -> dict:
            found = create(server.client(), user("Who?"), max_tokens=900, extra_body=more)
            return found.choices[0].model_dump()

        cut = ask(thinking=True, thinking_budget=5)
        assert cut["message"]["content"] == ANSWER
        assert 0 < len(cut["message"]["reasoning_content"]) < len(long) / 2
        assert cut["latentvlm"]["reasoning_finish"] == "budget"
        assert ask(reasoning_effort="none")["message"].get("reasoning_content") is None
        ask(reasoning_effort="low")
        assert "{reasoning effort: low}" in scripted.prompt(server.vlm)


def test_the_grammar_begins_when_the_thought_ends(says: Callable) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
    with says(f"{THOUGHT}</think>", ANSWER) as server:
        found = create(server.client(), user("Who?"), response_format=wanted, max_tokens=200)
        assert found.choices[0].message.reasoning_content == THOUGHT
        assert json.loads(found.choices[0].message.content).keys() == {"number"}
        other = server.client().responses.create(
            model="latentvlm",
            input="Who?",
            text={"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}},
        )
        assert other.output[0].content[0].text == THOUGHT
        assert json.loads(other.output_text).keys() == {"number"}


def test_a_call_comes_apart(says: Callable) -> None:
    with says(f"{THOUGHT}</think>", CALL) as server:
        options = {"tools": [WEATHER], "max_tokens": 400}
        choice = create(server.client(), user("Who?"), **options).choices[0]
        assert choice.finish_reason == "tool_calls" and choice.message.content == ""
        (call,) = choice.message.tool_calls
        assert call.function.name == "weather"
        assert json.loads(call.function.arguments) == {"place": "Bonn"}
        chunks = list(create(server.client(), user("Who?"), stream=True, **options))
        (streamed,) = chunks[-1].choices[0].delta.tool_calls
        assert streamed.function == streamed.function.model_copy(
            update={"name": "weather", "arguments": call.function.arguments}
        )
        assert chunks[-1].choices[0].finish_reason == "tool_calls"
        left = create(server.client(), user("Who?"), tool_choice="none", **options).choices[0]
        assert not left.message.tool_calls and "<function=weather>" in left.message.content


@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "days"}}], ids=["any", "named"]
)
def test_a_call_is_forced(says: Callable, choice: str | dict) -> None:
    tools = [{"type": "function", "function": DAYS}]
    if isinstance(choice, dict):
        tools.insert(0, WEATHER)
    with says(f"{THOUGHT}</think>", ANSWER) as server:
        options = {"tools": tools, "tool_choice": choice, "max_tokens": 200}
        found = create(server.client(), user("Who?"), **options).choices[0]
        assert found.message.reasoning_content == THOUGHT and not found.message.content
        (call,) = found.message.tool_calls
        assert call.function.name == "days"
        assert 1 <= json.loads(call.function.arguments)["count"] <= 9
        flat = choice if isinstance(choice, str) else {"type": "function", "name": "days"}
        other = server.client().responses.create(
            model="latentvlm",
            input="Who?",
            tools=[{"type": "function", **(tool.get("function", tool))} for tool in tools],
            tool_choice=flat,
        )
        assert [item.type for item in other.output] == ["reasoning", "function_call"]
        assert other.output[1].name == "days" and other.tool_choice != "auto"


def test_a_call_that_cannot_be_forced_is_said(says: Callable, server) -> None:
    tools = [{"type": "function", "function": DAYS}]
    with (
        says(ANSWER) as seeing,
        pytest.raises(openai.BadRequestError, match="the tools are 'days'"),
    ):
        named = {"type": "function", "function": {"name": "walk"}}
        create(seeing.client(), user("Who?"), tools=tools, tool_choice=named)
    for choice in ("sometimes", {"type": "custom"}):
        with pytest.raises(openai.BadRequestError, match="tool_choice is 'auto'"):
            create(server.client(), user("Who?"), tool_choice=choice)


ITEM = ["response.output_item.added", "response.content_part.added"]
DONE = ["response.content_part.done", "response.output_item.done"]
TEXT, ARGUMENTS = "response.output_text", "response.function_call_arguments"
BEGIN = ["response.created", "response.in_progress"]
OF_THOUGHT = [
    *ITEM, "response.reasoning_text.delta", "response.reasoning_text.done", *DONE
]  # fmt: skip
OF_TEXT = [*ITEM, f"{TEXT}.delta", f"{TEXT}.done", *DONE]
OF_CALL = [ITEM[0], f"{ARGUMENTS}.delta", f"{ARGUMENTS}.done", DONE[1]]


def bare(value):
    """An item without ids, and without what the client adds to it."""
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    if isinstance(value, dict):
        left_out = ("id", "call_id", "parsed", "parsed_arguments")
        return {key: bare(each) for key, each in value.items() if key not in left_out}
    return [*map(bare, value)] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("before", "after", "order"),
    [
        (f"{THOUGHT}</think>", ANSWER, [*OF_THOUGHT, *OF_TEXT]),
        (f"{THOUGHT}</think>", CALL, [*OF_THOUGHT, *OF_CALL]),
        (f"{THOUGHT}</think>", f"{ANSWER}{CALL}", [*OF_THOUGHT, *OF_TEXT, *OF_CALL]),
        ("</think>", ANSWER, OF_TEXT),
        ("</think>", "", [*ITEM, f"{TEXT}.done", *DONE]),
    ],
    ids=["thought and text", "thought and call", "all", "text", "nothing"],
)
def test_a_response_streams_in_the_documented_order(
    says: Callable, before: str, after: str, order: list[str]
) -> None:
    asked = {
        "model": "latentvlm",
        "input": "Who?",
        "max_output_tokens": 400,
        "tools": [{"type": "function", **WEATHER["function"]}],
    }
    with says(before, after) as server:
        client = server.client()
        with client.responses.stream(**asked) as stream:  # it checks that items are known
            events = list(stream)
            final = stream.get_final_response()
        whole = client.responses.create(**asked)
    kinds = [event.type for event in events]
    told = [kind for at, kind in enumerate(kinds) if not at or kind != kinds[at - 1]]
    assert told == [*BEGIN, *order, "response.completed"]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    open_item = None
    for event in events:
        if event.type == ITEM[0]:
            assert open_item is None
            open_item = (event.item.id, event.output_index)
        elif hasattr(event, "item_id"):
            assert (event.item_id, event.output_index) == open_item
        elif event.type == DONE[1]:
            assert (event.item.id, event.output_index) == open_item
            assert bare(event.item) == bare(final.output[event.output_index])
            open_item = None
    assert [*map(bare, final.output)] == [*map(bare, whole.output)]
    deltas = "".join(event.delta for event in events if event.type == f"{TEXT}.delta")
    assert deltas == final.output_text == whole.output_text


def test_what_it_gave_can_be_given_back(scripted: Scripted, says: Callable) -> None:
    """The output of a turn, its thought and call included, is input of the next one."""
    tools = [{"type": "function", **WEATHER["function"]}]
    with says(f"{THOUGHT}</think>", CALL) as server:
        client = server.client()
        first = client.responses.create(
            model="latentvlm", input="Who?", tools=tools, max_output_tokens=400
        )
        items = [{"role": "user", "content": "Who?"}]
        items += [item.to_dict() for item in first.output]
        call = first.output[1]
        items.append({"type": "function_call_output", "call_id": call.call_id, "output": "Rain."})
        client.responses.create(model="latentvlm", input=items, tools=tools, max_output_tokens=4)
        prompt = scripted.prompt(server.vlm)
        turns = [f"<think>\n{THOUGHT}\n</think>", "<function=weather>", "Bonn", "Rain."]
        places = [prompt.rindex(text) for text in turns]
        assert places == sorted(places)
        with pytest.raises(openai.BadRequestError, match="other than texts"):
            client.responses.create(
                model="latentvlm", input=[{"type": "reasoning", "summary": [{"text": 7}]}]
            )
