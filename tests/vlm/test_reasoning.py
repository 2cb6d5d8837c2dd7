"""Thoughts: turned on and off, and returned apart from the answer."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from support.thinking import ANSWER, LONG, THOUGHT, Scripted, parts_of, thinker

from latentvlm.data.chat_style import Tags
from latentvlm.errors import ConfigError, PromptError
from latentvlm.vlm.answer_parts import AnswerReader
from latentvlm.vlm.api import load
from latentvlm.vlm.markup import Markup
from latentvlm.vlm.sampling import GenerationConfig


def test_a_tag_is_one_token_or_several(kind: Scripted) -> None:
    assert len(kind.close_ids) == 1 if kind.kind == "3" else len(kind.close_ids) > 3


def test_thought_and_answer_come_apart(kind: Scripted) -> None:
    answer = thinker(kind).ask("What is the total?", generation=LONG)
    assert (answer.reasoning, answer.text) == (THOUGHT, ANSWER)
    assert (answer.reasoning_finish, answer.finish_reason) == ("stop", "stop")
    thought = kind.num_tokens(f"{THOUGHT}\n") + len(kind.close_ids)
    assert answer.usage.reasoning_tokens == thought
    assert answer.usage.answer_tokens == thought + kind.num_tokens(f"\n\n{ANSWER}") + 1
    assert not answer.warnings


def test_a_stream_keeps_them_apart(kind: Scripted) -> None:
    vlm = thinker(kind)
    stream = vlm.stream("What?", generation=LONG)
    parts = list(stream.parts())
    order = [part.kind for part in parts]
    assert order == sorted(order), "the thought comes first"
    assert parts_of(parts, "reasoning") == stream.answer.reasoning == THOUGHT
    assert parts_of(parts, "text") == stream.answer.text == ANSWER
    assert len(parts) > 10 and all(part.text for part in parts)
    pieces = list(vlm.stream("What?", generation=LONG))
    assert "".join(pieces) == ANSWER and len(pieces) > 3


def test_confidence_is_of_the_answer_alone(kind: Scripted) -> None:
    exact = dataclasses.replace(LONG, thinking_grace=0)
    answer = thinker(kind).ask("What?", generation=exact, thinking_budget=10)
    after = answer.logprobs[answer.usage.reasoning_tokens :]
    assert len(after) == kind.num_tokens(f"\n\n{ANSWER}") + 1
    assert answer.confidence == pytest.approx(np.exp(np.mean(after)))
    # What was forced is unlikely to this model, and says so.
    forced = answer.logprobs[10 : 10 + len(kind.close_ids)]
    assert max(forced) < min(after) - 5


@pytest.mark.parametrize("thinking", [True, False, None])
def test_the_prompt_opens_a_thought_or_not(kind: Scripted, thinking: bool | None) -> None:
    vlm = kind.vlm("Yes.", "No.")
    answer = vlm.ask("Is it?", thinking=thinking)
    prompt = kind.prompt(vlm)
    assert prompt.rstrip().endswith("<think>" if thinking is not False else "<think></think>")
    assert "/think" not in prompt.replace("</think>", "") and "/no_think" not in prompt
    if thinking is False:
        assert (answer.text, answer.reasoning, answer.reasoning_finish) == ("Yes.", "", None)
    else:
        assert (answer.text, answer.reasoning, answer.reasoning_finish) == ("No.", "Yes.", "turn")


@pytest.mark.parametrize("said", ["/think", "/no_think", "/think /no_think", ""])
@pytest.mark.parametrize("thinking", [True, False])
def test_the_argument_wins_over_the_words(two: Scripted, said: str, thinking: bool) -> None:
    vlm = two.vlm("Yes.", "No.")
    system = {"role": "system", "content": f"Be brief. {said}"}
    turns = [system, {"role": "user", "content": f"Is it? {said}"}]
    vlm.chat(turns, thinking=thinking)
    prompt = two.prompt(vlm)
    assert "Be brief." in prompt and "User\nIs it?\n" in prompt and "no_think" not in prompt
    assert prompt.rstrip().endswith("<think>" if thinking else "</think>")
    assert turns[1]["content"] == f"Is it? {said}", "the caller's messages were changed"


def test_the_words_work_by_themselves(two: Scripted) -> None:
    vlm = two.vlm("Yes.")
    assert vlm.ask("Is it? /no_think").reasoning == ""
    assert "User\nIs it?\n" in two.prompt(vlm)
    turns = [
        {"role": "system", "content": "/no_think"},
        {"role": "user", "content": "/think Is it?"},
    ]
    assert vlm.chat(turns).reasoning == "Yes."


def test_a_page_and_a_switch_word(two: Scripted) -> None:
    page = np.zeros((16, 32, 3), np.uint8)
    vlm = two.seeing_vlm("Yes.", "No.")
    off = vlm.ask("Is it?", page, thinking=False)
    assert (off.text, off.reasoning, off.usage.visual_tokens) == ("Yes.", "", 2)
    on = vlm.ask("Is it?", page, thinking=True)
    assert (on.text, on.reasoning, on.usage.visual_tokens) == ("No.", "Yes.", 2)


def test_what_only_looks_like_a_tag_is_thought(kind: Scripted) -> None:
    thought = "a </thin, <think , </ think> and 1 < 2"
    answer = kind.vlm(f"{thought}</think>", "Yes.").ask("Is it?", generation=LONG)
    assert (answer.reasoning, answer.text) == (thought, "Yes.")


def test_a_model_may_begin_the_thought_itself(kind: Scripted) -> None:
    answer = kind.vlm("<think>Hm.</think>", "Yes.").ask("Is it?", thinking=False)
    assert (answer.reasoning, answer.text, answer.reasoning_finish) == ("Hm.", "Yes.", "stop")
    again = kind.vlm("Hm.</think>", "\n<think>So.").ask("Is it?", thinking_budget=40)
    assert again.reasoning == "Hm.\nSo."
    spoken = kind.vlm("Say <think> now.").ask("Is it?", thinking=False)
    assert spoken.reasoning == "" and spoken.text.startswith("Say ")
    assert spoken.text.endswith(" now.")


def test_a_thought_that_was_wanted_and_did_not_come(two: Scripted) -> None:
    vlm = two.vlm("Yes.")
    assert not vlm.ask("Is it? /no_think").warnings
    answer = vlm.ask("Is it? /no_think", thinking_budget=9)
    assert (answer.text, answer.reasoning_finish) == ("Yes.", None)
    assert "did not think, although it was asked to" in answer.warnings[0]
    assert not vlm.ask("Is it? /no_think", thinking_budget=0).warnings


def test_turns_that_were_thought_about_go_on(kind: Scripted) -> None:
    vlm = thinker(kind)
    first = {"role": "user", "content": "What is the total?"}
    answer = vlm.ask("What is the total?", generation=LONG)
    turns = [first, answer.as_message(), {"role": "user", "content": "And the date?"}]
    assert vlm.chat(turns, generation=LONG).text == ANSWER
    prompt = kind.prompt(vlm)
    assert ANSWER in prompt and THOUGHT not in prompt


def test_low_effort_is_for_templates_that_have_it(two: Scripted, three: Scripted) -> None:
    vlm = three.vlm("Hm.</think>", "Yes.")
    assert vlm.ask("Is it?", low_effort=True).text == "Yes."
    assert "{reasoning effort: low}" in three.prompt(vlm)
    with pytest.raises(PromptError, match="low_effort asks for a short thought, but"):
        vlm.ask("Is it?", low_effort=True, thinking=False)
    with pytest.raises(PromptError, match="has no low_effort; give a thinking_budget"):
        two.vlm("Yes.").ask("Is it?", low_effort=True)


@pytest.mark.parametrize(
    "asked", [{"thinking": True}, {"thinking_budget": 9}, {"low_effort": True}]
)
def test_a_model_that_does_not_think_says_so(tiny_folder: Path, asked: dict) -> None:
    vlm = load(tiny_folder, device="cpu")
    with pytest.raises(PromptError, match="does not think aloud.*; ask without thinking"):
        vlm.ask("What?", **asked)
    plain = vlm.ask("What?", generation=GenerationConfig(max_tokens=4))
    off = vlm.ask("What?", generation=GenerationConfig(max_tokens=4), thinking=False)
    assert off.token_ids == plain.token_ids
    assert (plain.reasoning, plain.reasoning_finish) == ("", None)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"thinking": "yes"}, "thinking is 'yes'"),
        ({"low_effort": "yes"}, "low_effort is 'yes'"),
        ({"thinking_budget": -1}, "thinking_budget is -1"),
        ({"thinking_budget": 2.5}, "thinking_budget is 2.5"),
        ({"thinking": False, "thinking_budget": 5}, "but thinking is off"),
    ],
)
def test_what_cannot_be_asked(three: Scripted, asked: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        three.vlm("Yes.").ask("Is it?", **asked)
    with pytest.raises(ConfigError, match="thinking_grace"):
        GenerationConfig(thinking_grace=-1)


def test_a_spelt_tag_is_found_however_it_is_cut() -> None:
    """Tokens here are the characters themselves."""

    def read(pieces: list[str], opens_thought: bool) -> tuple[str, str]:
        markup = Markup(thought=Tags("<think>", "</think>"))
        reader = AnswerReader(
            lambda ids: "".join(pieces[idx] for idx in ids), markup, opens_thought=opens_thought
        )
        for idx in range(len(pieces)):
            reader.feed(idx)
        reader.finish()
        parts = reader.take()
        return parts_of(parts, "reasoning"), parts_of(parts, "text")

    text = " a<b </think>\n c</th <think> d "
    for size in range(1, 12):
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        assert read(pieces, True) == ("a<b", "c</th <think> d"), size
        assert read(["<think>", *pieces], False) == ("a<b", "c</th <think> d"), size
