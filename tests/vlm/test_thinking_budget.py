"""A thought is closed when its budget is spent: at the end of a sentence, once, in a batch too."""

import dataclasses

import pytest
from support.thinking import ANSWER, LONG, THOUGHT, Scripted, ScriptedBatch, thinker

from latentvlm.errors import InputError
from latentvlm.vlm.asking import make_steer
from latentvlm.vlm.generate import generate_batch
from latentvlm.vlm.reasoning import Thinking, ends_sentence


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


def test_a_tag_that_was_begun_is_finished(two: Scripted) -> None:
    exact = dataclasses.replace(LONG, thinking_grace=0)
    for num in range(1, len(two.close_ids)):
        vlm = two.vlm("Hm</think>", "Yes.")
        budget = two.num_tokens("Hm") + num
        answer = vlm.ask("Is it?", generation=exact, thinking_budget=budget)
        assert (answer.reasoning, answer.text) == ("Hm", "Yes."), num
        assert answer.reasoning_finish == "budget"


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
