"""Thoughts: turned on and off, kept within a budget, returned apart from the answer."""

import dataclasses
import threading
from pathlib import Path

import numpy as np
import pytest
from support.thinking import Scripted, ScriptedBatch

from latentvlm.data.chat_style import Tags
from latentvlm.errors import ConfigError, InputError, PromptError
from latentvlm.vlm.answer_parts import AnswerPiece, AnswerReader
from latentvlm.vlm.api import load
from latentvlm.vlm.asking import make_steer
from latentvlm.vlm.generate import generate_batch
from latentvlm.vlm.markup import Markup
from latentvlm.vlm.reasoning import Thinking, ends_sentence
from latentvlm.vlm.sampling import GenerationConfig

THOUGHT = "So the total is on the second line. It is twelve. But is it 12.50?\nYes, it is."
ANSWER = "The total is 12.50."
LONG = GenerationConfig(max_tokens=400)


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scripted]:
    folder = tmp_path_factory.mktemp("tokenizers")
    return {name: Scripted(folder / name, name) for name in ("2", "3")}


@pytest.fixture(params=["3", "2"])
def kind(request: pytest.FixtureRequest, kinds: dict[str, Scripted]) -> Scripted:
    return kinds[request.param]


@pytest.fixture
def three(kinds: dict[str, Scripted]) -> Scripted:
    return kinds["3"]


@pytest.fixture
def two(kinds: dict[str, Scripted]) -> Scripted:
    return kinds["2"]


def thinker(kind: Scripted, **options):
    return kind.vlm(f"{THOUGHT}\n</think>", f"\n\n{ANSWER}", **options)


def joined(parts: list[AnswerPiece], which: str) -> str:
    return "".join(part.text for part in parts if part.kind == which)


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
    assert joined(parts, "reasoning") == stream.answer.reasoning == THOUGHT
    assert joined(parts, "text") == stream.answer.text == ANSWER
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


@pytest.mark.parametrize("budget", [0, 1, 7, 30])
def test_a_budget_closes_the_thought(kind: Scripted, budget: int) -> None:
    exact = dataclasses.replace(LONG, thinking_grace=0)
    vlm = thinker(kind)
    answer = vlm.ask("What?", generation=exact, thinking_budget=budget)
    shown = kind.processor.decode(kind.processor.encode(THOUGHT)[:budget])
    assert answer.reasoning == shown.strip()
    assert (answer.text, answer.finish_reason) == (ANSWER, "stop")
    assert answer.reasoning_finish == "budget"
    assert answer.usage.reasoning_tokens == budget + len(kind.close_ids)
    closing = answer.token_ids[budget : budget + len(kind.close_ids)]
    assert list(closing) == kind.close_ids
    assert not answer.warnings


def test_a_budget_that_is_not_used_changes_nothing(kind: Scripted) -> None:
    free = thinker(kind).ask("What?", generation=LONG)
    bound = thinker(kind).ask("What?", generation=LONG, thinking_budget=300)
    assert bound.token_ids == free.token_ids
    assert bound.reasoning_finish == "stop"


@pytest.mark.parametrize(
    ("first", "budget_in", "grace", "ends_with"),
    [
        ("It is twelve.", "It is", 40, "It is twelve."),
        ("It is 12.50 or not", "It is 12.", 2, "It is 12.50"),
        ("one\ntwo three", "on", 40, "one"),
        ("It is. And so on", "It is.", 40, "It is."),
        ("no end in sight", "no", 0, "no"),
    ],
)
def test_a_thought_ends_where_a_sentence_does(
    kind: Scripted, first: str, budget_in: str, grace: int, ends_with: str
) -> None:
    config = dataclasses.replace(LONG, thinking_grace=grace)
    vlm = kind.vlm(first + " and so on and on and on", "Yes.")
    budget = kind.num_tokens(budget_in)
    answer = vlm.ask("Is it?", generation=config, thinking_budget=budget)
    assert answer.reasoning == ends_with
    assert answer.text == "Yes."


def test_the_grace_is_a_tenth_of_the_budget(kind: Scripted) -> None:
    vlm = kind.vlm("word " * 60, "Yes.")
    answer = vlm.ask("Is it?", generation=LONG, thinking_budget=50)
    assert answer.usage.reasoning_tokens == 55 + len(kind.close_ids)


def test_budgets_of_a_batch_are_those_of_each_alone(kind: Scripted) -> None:
    scripts = [
        (f"{THOUGHT}\n</think>", f"\n\n{ANSWER}"),
        ("I am done", "Twelve."),  # its turn ends inside its thought
        ("word " * 60, "Yes."),
        ("Hm.</think>", "Short."),
    ]
    budgets, ends = [30, None, 40, 300], (kind.processor.turn_end_id,)
    alone = [
        kind.vlm(*script).ask("What?", generation=LONG, thinking_budget=budget)
        for script, budget in zip(scripts, budgets, strict=True)
    ]
    prompts = [kind.processor([{"role": "user", "content": "What?"}])] * len(scripts)
    steers = [
        make_steer(kind.processor, prompt, Thinking(budget=budget), LONG)
        for prompt, budget in zip(prompts, budgets, strict=True)
    ]
    model = ScriptedBatch(kind.processor, scripts)
    found = generate_batch(model, prompts, LONG, end_ids=ends, steers=steers)
    assert [[choice.id for choice in each] for each in found] == [
        list(each.token_ids) for each in alone
    ]
    assert [each.closed_by for each in steers] == ["budget", "turn", "budget", None]
    assert steers[0].reader.num_thought_tokens == alone[0].usage.reasoning_tokens
    with pytest.raises(InputError, match="2 steers for 4 prompts"):
        generate_batch(model, prompts, LONG, steers=steers[:2])


def test_nothing_stops_a_batch_inside_a_thought(kind: Scripted) -> None:
    stop = kind.processor.encode("x")[-1]
    config = dataclasses.replace(LONG, stop_ids=(stop,))
    prompts = [kind.processor([{"role": "user", "content": "What?"}])] * 2
    scripts = [("axb</think>", "cx"), ("Hm</think>", "no")]
    model = ScriptedBatch(kind.processor, scripts)
    steers = [make_steer(kind.processor, each, Thinking(), config) for each in prompts]
    ends = (kind.processor.turn_end_id,)
    first, second = generate_batch(model, prompts, config, end_ids=ends, steers=steers)
    text = kind.processor.decode([choice.id for choice in first])
    assert "axb" in text and text.endswith("cx") and second[-1].id in ends


def test_a_tag_that_was_begun_is_finished(two: Scripted) -> None:
    exact = dataclasses.replace(LONG, thinking_grace=0)
    for num in range(1, len(two.close_ids)):
        vlm = two.vlm("Hm</think>", "Yes.")
        budget = two.num_tokens("Hm") + num
        answer = vlm.ask("Is it?", generation=exact, thinking_budget=budget)
        assert (answer.reasoning, answer.text) == ("Hm", "Yes."), num
        assert answer.reasoning_finish == "budget"


def test_what_only_looks_like_a_tag_is_thought(kind: Scripted) -> None:
    thought = "a </thin, <think , </ think> and 1 < 2"
    answer = kind.vlm(f"{thought}</think>", "Yes.").ask("Is it?", generation=LONG)
    assert (answer.reasoning, answer.text) == (thought, "Yes.")


def test_a_turn_that_ends_inside_the_thought_goes_on(kind: Scripted) -> None:
    answer = kind.vlm("I am done", "Twelve.").ask("What?", generation=LONG)
    assert (answer.reasoning, answer.text) == ("I am done", "Twelve.")
    assert (answer.reasoning_finish, answer.finish_reason) == ("turn", "stop")
    assert kind.processor.turn_end_id not in answer.token_ids[:-1]
    assert "ended its turn inside its thought" in answer.warnings[0]


def test_a_thought_without_an_answer_says_so(kind: Scripted) -> None:
    answer = kind.vlm("Hm.</think>").ask("What?", generation=LONG)
    assert (answer.reasoning, answer.text, answer.finish_reason) == ("Hm.", "", "stop")
    assert "gave no answer" in answer.warnings[0]


def test_a_thought_that_never_ends_is_cut_off(kind: Scripted) -> None:
    vlm = kind.vlm("and on " * 60, "Yes.")
    answer = vlm.ask("Is it?", generation=GenerationConfig(max_tokens=20))
    assert (answer.text, answer.confidence) == ("", 0.0)
    assert answer.reasoning.startswith("and on and")
    assert (answer.finish_reason, answer.reasoning_finish) == ("length", "length")
    assert answer.warnings == (
        "The answer was cut off inside its thought after 20 tokens; raise max_tokens or give a "
        "thinking_budget.",
    )
    assert vlm.ask("Is it?", generation=LONG, thinking_budget=20).text == "Yes."


def test_a_full_context_and_a_cancelled_thought(kind: Scripted) -> None:
    length = len(kind.processor([{"role": "user", "content": "Is it?"}]).input_ids) + 6
    answer = kind.vlm("and on " * 9, context_length=length).ask("Is it?")
    assert (answer.finish_reason, answer.reasoning_finish) == ("context", "context")
    assert "inside its thought" in answer.warnings[0]
    event = threading.Event()
    stream = kind.vlm("and on " * 9).stream("Is it?", is_cancelled=event.is_set)
    begun = next(stream.parts()).text
    event.set()
    answer = stream.read()
    assert (answer.finish_reason, answer.reasoning_finish) == ("cancelled", "cancelled")
    assert answer.reasoning.startswith(begun) and not answer.text


def test_nothing_stops_the_answer_inside_the_thought(kind: Scripted) -> None:
    vlm = kind.vlm("A stop here. Done.</think>", "\n\nBefore stop after.")
    config = dataclasses.replace(LONG, stop=("stop",))
    answer = vlm.ask("Is it?", generation=config)
    assert (answer.reasoning, answer.text) == ("A stop here. Done.", "Before ")
    assert (answer.reasoning_finish, answer.finish_reason) == ("stop", "stop")
    blank = kind.processor.encode("\n")[0]
    vlm = kind.vlm("A\nB</think>", "C\nD")
    answer = vlm.ask("Is it?", generation=dataclasses.replace(LONG, stop_ids=(blank,)))
    assert (answer.reasoning, answer.text) == ("A\nB", "C")


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


def test_a_tag_that_closes_nothing(kind: Scripted) -> None:
    """Where it is a token of its own it is a control token, which text never shows."""
    answer = kind.vlm("Hm.</think>", "So</think> it is.").ask("Is it?", generation=LONG)
    assert answer.reasoning == "Hm."
    assert answer.text == ("So it is." if kind.kind == "3" else "So</think> it is.")


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


@pytest.mark.parametrize(
    ("text", "is_end"),
    [
        ("", True),
        ("It is.", True),
        ('He said "no." ', True),
        ("Is it?)", True),
        ("終わり。", True),
        ("line\n", True),
        ("line\n  ", True),
        ("12.", False),
        ("Fruit, e.g. ", False),
        ("Ask Mr. ", False),
        ("In the U.S. ", False),
        ("Is it so? No.", True),
        ("It is", False),
        ("It is. So", False),
        ("a, ", False),
    ],
)
def test_where_a_sentence_ends(text: str, is_end: bool) -> None:
    assert ends_sentence(text) is is_end


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
        return joined(parts, "reasoning"), joined(parts, "text")

    text = " a<b </think>\n c</th <think> d "
    for size in range(1, 12):
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        assert read(pieces, True) == ("a<b", "c</th <think> d"), size
        assert read(["<think>", *pieces], False) == ("a<b", "c</th <think> d"), size
