"""Chat templates: rendered as transformers renders them; and the guard of typed text."""

from pathlib import Path

import pytest

from latentvlm.data.chat import ChatTemplate, check_conversation
from latentvlm.data.guard import ANSWER, BREAK, Guard, split_marks
from latentvlm.errors import CheckpointError, PromptError

# What real templates use: blocks with their own lines, loop controls, tojson, namespaces,
# generation blocks, slices, special tokens as variables.
BUSY = """\
{{- bos_token }}
{%- set state = namespace(thinking=enable_thinking | default(true)) %}
{% for message in messages %}
    {% if message['role'] == 'system' and not loop.first %}
        {% continue %}
    {% endif %}
    {% if message['role'] == 'assistant' %}
{% generation %}
<A>{{ message['content'].split('</think>')[-1].lstrip('\\n') }}{{ eos_token }}
{% endgeneration %}
    {% elif message['content'] is string %}
<U>{{ message['content'] | trim }} {{ {'k': 'ä', 'n': loop.index} | tojson }}
    {% else %}
<U>{% for p in message.content %}{{ p.text if p.type == 'text' else '<image>' }}{% endfor %}
    {% endif %}
{% endfor %}
{% if add_generation_prompt %}
<A>{{ '<think>' if state.thinking else '' }}
{%- endif %}
"""
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
MESSAGES = [
    {"role": "system", "content": "Be brief. "},
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": " What?\n"}]},
    {"role": "system", "content": "dropped"},
    {"role": "assistant", "content": "<think>hm</think>\n\nThat."},
    {"role": "user", "content": "  And?  "},
]


@pytest.mark.parametrize("add_generation_prompt", [True, False])
@pytest.mark.parametrize("options", [{}, {"enable_thinking": False}])
def test_rendered_as_transformers_renders(add_generation_prompt: bool, options: dict):
    from transformers.utils.chat_template_utils import render_jinja_template

    expected, _ = render_jinja_template(
        [MESSAGES],
        chat_template=BUSY,
        add_generation_prompt=add_generation_prompt,
        **TOKENS,
        **options,
    )
    ours = ChatTemplate(BUSY, variables=TOKENS).render(
        MESSAGES, add_generation_prompt=add_generation_prompt, **options
    )
    assert ours == expected[0]


def test_where_the_template_comes_from(tmp_path: Path):
    named = [{"name": "tools", "template": "t"}, {"name": "default", "template": "d{{ x }}"}]
    for settings in [{"chat_template": "d{{ x }}"}, {"chat_template": named}]:
        template = ChatTemplate.from_folder(tmp_path, settings=settings)
        assert template.render([], add_generation_prompt=False, x=1) == "d1"
    (tmp_path / "chat_template.jinja").write_text("{{ eos_token }}")
    settings = {"chat_template": "no", "eos_token": {"content": "</s>"}, "bos_token": None}
    template = ChatTemplate.from_folder(tmp_path, settings=settings)
    assert template.render([], add_generation_prompt=False) == "</s>"
    (tmp_path / "chat_template.jinja").unlink()
    with pytest.raises(CheckpointError, match="no chat template"):
        ChatTemplate.from_folder(tmp_path, settings={})
    with pytest.raises(CheckpointError, match="not valid Jinja"):
        ChatTemplate("{% if %}")


def test_a_template_may_refuse_and_may_not_escape():
    template = ChatTemplate("{{ raise_exception('roles must alternate') }}")
    with pytest.raises(PromptError, match="roles must alternate"):
        template.render([], add_generation_prompt=False)
    escape = ChatTemplate("{{ messages.__class__.__mro__[1].__subclasses__() }}")
    with pytest.raises(PromptError):
        escape.render([], add_generation_prompt=False)


def test_marks_go_where_a_token_is_spelt():
    guard = Guard(["<image>", "</s>", "<|im_end|>", "<think>"])
    assert guard(["plain < text > <imag e>"]) == ["plain < text > <imag e>"]
    assert guard(["a<image>b</s>"]) == [f"a<{BREAK}image>b<{BREAK}/s>"]
    assert guard(["a<im", "age>b"]) == [f"a<{BREAK}im", "age>b"]
    assert guard(["a<", "image>"]) == ["a<", f"{BREAK}image>"]
    assert guard(["<think>"], is_assistant=True) == ["<think>"]
    assert guard(["</s>"], is_assistant=True) == [f"<{BREAK}/s>"]
    assert guard([f"x{BREAK}{ANSWER}y"]) == ["xy"], "a typed mark is no mark"
    assert Guard([])(["<image>"]) == ["<image>"]
    assert Guard(["|", "."])(["a.b|"]) == ["a.b|"], "one character cannot be broken up"


def test_pieces_between_marks():
    assert split_marks("plain") == [("plain", False)]
    assert split_marks(f"a{BREAK}b{ANSWER}c{BREAK}d") == [
        ("a", False),
        ("b", False),
        ("c", True),
        ("d", False),
    ]


def test_the_form_of_a_content_is_kept():
    guard = Guard(["<image>"])
    parts = [{"type": "image", "image": 1}, {"type": "text", "text": "a"}]
    conversation = check_conversation(
        [
            {"role": "user", "content": parts},
            {"role": "assistant", "content": "b", "extra": 3},
            {"role": "assistant", "content": [{"type": "text", "text": "c"}]},
            {"role": "assistant", "content": None, "tool_calls": [{"name": "f"}]},
        ],
        guard=guard,
        mark_answers=True,
    )
    assert conversation.images == [1]
    assert [message["content"] for message in conversation.messages] == [
        [{"type": "image"}, {"type": "text", "text": "a"}],
        f"{ANSWER}b",
        [{"type": "text", "text": f"{ANSWER}c"}],
        None,
    ]
    assert conversation.messages[1]["extra"] == 3
