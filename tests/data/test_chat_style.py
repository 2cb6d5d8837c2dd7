"""What a chat template offers is read from it, and what it is told is rendered as it should be."""

from pathlib import Path
from typing import Any

import pytest
from support.thinking import TEMPLATE_2, TEMPLATE_3, WEATHER, thinking_processor

from latentvlm.data.chat import ChatTemplate
from latentvlm.data.chat_style import ChatStyle, Tags
from latentvlm.data.tokenizer import CHAT_TEMPLATE
from latentvlm.errors import PromptError

THOUGHT = Tags("<think>", "</think>")
OPENS = "{% for m in messages %}{{ m.content }}{% endfor %}"
ALWAYS = OPENS + "</think>{% if add_generation_prompt %}<think>\n{% endif %}"
LEFT_TO_THE_MODEL = OPENS + "{% if enable_thinking is false %}<think></think>{% endif %}"
NOWHERE = OPENS + "{# <think> </think> #}"
MESSAGES = [{"role": "user", "content": "Is it?"}]
TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Rain in Rome and Paris?"},
    {
        "role": "assistant",
        "content": "I will look.",
        "reasoning_content": "Two places.",
        "tool_calls": [
            {"type": "function", "function": {"name": "weather", "arguments": {"place": place}}}
            for place in ("Rome", "Paris")
        ],
    },
    {"role": "tool", "content": '{"rain": true}'},
    {"role": "tool", "content": '{"rain": false}'},
]


def test_what_each_kind_of_template_offers() -> None:
    assert ChatStyle.read(ChatTemplate(TEMPLATE_3)) == ChatStyle(
        thought=THOUGHT,
        switch="variable",
        has_low_effort=True,
        takes_tools=True,
        calls=(Tags("<tool_call>", "</tool_call>"),),
        has_xml_calls=True,
    )
    assert ChatStyle.read(ChatTemplate(TEMPLATE_2)) == ChatStyle(
        thought=THOUGHT,
        switch="words",
        takes_tools=True,
        calls=(Tags("<TOOLCALL>", "</TOOLCALL>"),),
    )
    assert ChatStyle.read(ChatTemplate(CHAT_TEMPLATE)) == ChatStyle()


def test_the_names_a_template_reads() -> None:
    template = ChatTemplate(
        "{% set x = x if x is defined else y %}{% for m in ms %}{{ m }}{% endfor %}"
    )
    assert template.variables == {"x", "y", "ms"}


@pytest.mark.parametrize("source", [TEMPLATE_2, TEMPLATE_3], ids=["2", "3"])
@pytest.mark.parametrize(
    "options", [{}, {"enable_thinking": False}, {"low_effort": True, "tools": [WEATHER]}]
)
def test_rendered_as_transformers_renders(source: str, options: dict[str, Any]) -> None:
    from transformers.utils.chat_template_utils import render_jinja_template

    expected, _ = render_jinja_template(
        [TURNS], chat_template=source, add_generation_prompt=True, **options
    )
    ours = ChatTemplate(source).render(TURNS, add_generation_prompt=True, **options)
    assert ours == expected[0]


def test_the_prompts_of_both_kinds(tmp_path: Path) -> None:
    """As the reference has them: section 1.7 of the published formats for "3", 2.5 for "2"."""

    def prompt(kind: str, messages: list, **options: Any) -> str:
        processor = thinking_processor(tmp_path / kind, kind)
        ids = processor(messages, **options).input_ids
        return processor.decode(ids, skip_special_tokens=False)

    system = "<|im_start|>system\n<|im_end|>\n"
    user = "<|im_start|>user\nIs it?<|im_end|>\n<|im_start|>assistant\n"
    assert prompt("3", MESSAGES) == f"{system}{user}<think>\n"
    assert prompt("3", MESSAGES, thinking=False) == f"{system}{user}<think></think>"
    head = "<SPECIAL_10>System\n\n\n<SPECIAL_11>User\nIs it?\n<SPECIAL_11>Assistant\n"
    assert prompt("2", MESSAGES) == prompt("2", MESSAGES, thinking=True) == f"{head}<think>\n\n"
    assert prompt("2", MESSAGES, thinking=False) == f"{head}<think></think>"
    calls = '<TOOLCALL>[{"name": "weather", "arguments": {"place": "Rome"}}, '
    results = '<TOOL_RESPONSE>[{"rain": true}, {"rain": false}]</TOOL_RESPONSE>\n\n'
    two = prompt("2", TURNS, tools=[WEATHER])
    assert calls in two and f"<SPECIAL_11>User\n{results}<SPECIAL_11>Assistant" in two
    three = prompt("3", TURNS)
    assert "<think>\nTwo places.\n</think>\nI will look.<tool_call>\n<function=weather>" in three


@pytest.mark.parametrize(
    ("source", "thinking", "is_open"),
    [
        (ALWAYS, None, True),
        (ALWAYS, True, True),
        (ALWAYS, False, "no switch that turns thinking off"),
        (LEFT_TO_THE_MODEL, True, False),
        (LEFT_TO_THE_MODEL, False, False),
        (NOWHERE, True, "no switch that turns thinking on"),
        (NOWHERE, False, "no switch that turns thinking off"),
        (NOWHERE, None, False),
        (CHAT_TEMPLATE, False, False),
    ],
)
def test_a_template_that_does_not_obey_is_found_out(
    tmp_path: Path, source: str, thinking: bool | None, is_open: bool | str
) -> None:
    processor = thinking_processor(tmp_path, "3")
    processor.template = ChatTemplate(source)
    if isinstance(is_open, str):
        with pytest.raises(PromptError, match=is_open):
            processor(MESSAGES, thinking=thinking)
    else:
        assert processor(MESSAGES, thinking=thinking).opens_thought is is_open


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        (
            [{"role": "system", "content": "a /think"}, {"role": "user", "content": "b"}],
            ["a ", "b/no_think"],
        ),
        (
            [{"role": "system", "content": "a"}, {"role": "tool", "content": "/think"}],
            ["a/no_think", "/think"],
        ),
        ([{"role": "tool", "content": "t"}], ["t"]),
    ],
)
def test_where_the_word_goes(messages: list, expected: list) -> None:
    style = ChatStyle(thought=THOUGHT, switch="words")
    assert [m["content"] for m in style.switched(messages, False)] == expected
    assert style.switched(messages, None) is messages


def test_the_word_goes_into_the_last_text_of_a_page_and_its_question() -> None:
    style = ChatStyle(thought=THOUGHT, switch="words")
    image, text = {"type": "image"}, {"type": "text", "text": "x /no_think"}
    (message,) = style.switched([{"role": "user", "content": [image, text, image]}], True)
    assert message["content"] == [image, {"type": "text", "text": "x /think"}, image]
    (message,) = style.switched([{"role": "user", "content": [image]}], True)
    assert message["content"] == [image, {"type": "text", "text": "/think"}]
