"""How thoughts end that do not end well, and what must not end them."""

import dataclasses
import threading

from support.thinking import LONG, Scripted, ScriptedBatch

from latentvlm.vlm.asking import make_steer
from latentvlm.vlm.generate import generate_batch
from latentvlm.vlm.reasoning import Thinking
from latentvlm.vlm.sampling import GenerationConfig


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


def test_a_tag_that_closes_nothing(kind: Scripted) -> None:
    """Where it is a token of its own it is a control token, which text never shows."""
    answer = kind.vlm("Hm.</think>", "So</think> it is.").ask("Is it?", generation=LONG)
    assert answer.reasoning == "Hm."
    assert answer.text == ("So it is." if kind.kind == "3" else "So</think> it is.")
