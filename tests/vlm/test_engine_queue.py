"""The engine's queue: who waits, who is cancelled, how much fits, and how it closes."""

import gc
from pathlib import Path

import pytest
from support.engines import LONG, page, prepared, settled, sharp_vlm

from latentvlm.errors import BusyError, PromptError
from latentvlm.vlm.sampling import GenerationConfig
from latentvlm.vlm.vlm import VLM


@pytest.fixture(scope="module")
def vlm(tiny_folder: Path) -> VLM:
    return sharp_vlm(tiny_folder)


def test_cancelling_frees_the_place_for_who_waits(vlm: VLM) -> None:
    engine = vlm.new_engine(max_batch=1)
    first = engine.stream("Read this line.", generation=LONG)
    shown = next(first)
    second = engine.stream("Who?", generation=GenerationConfig(max_tokens=3))
    assert engine.state().waiting == 1
    first.cancel()
    assert second.read().usage.answer_tokens <= 3
    shown += "".join(first)
    assert first.answer.finish_reason == "cancelled"
    assert first.answer.text == shown
    assert first.answer.usage.answer_tokens < 400
    assert second.answer.timing.waiting_s > 0
    assert settled(engine).cancelled == 1


def test_a_stream_that_nobody_holds_is_cancelled(vlm: VLM) -> None:
    engine = vlm.new_engine(max_batch=1)
    stream = engine.stream("Read this line.", generation=LONG)
    next(stream)
    del stream
    gc.collect()
    assert engine.ask("Who?", generation=GenerationConfig(max_tokens=3)).text
    assert settled(engine).cancelled == 1


def test_who_waits_can_be_cancelled_too(vlm: VLM) -> None:
    engine = vlm.new_engine(max_batch=1)
    first = engine.stream("Read this line.", generation=LONG)
    waiting = engine.stream("Who?", page(), generation=LONG)
    waiting.cancel()
    answer = waiting.read()
    assert (answer.text, answer.finish_reason, answer.confidence) == ("", "cancelled", 0.0)
    first.cancel()
    assert settled(engine).media_misses == 0, "its page was encoded"


def test_the_queue_has_an_end_and_arrival_is_its_order(vlm: VLM) -> None:
    engine = vlm.new_engine(max_batch=1, max_waiting=2)
    first = engine.stream("Read this line.", generation=LONG)
    next(first)
    short = GenerationConfig(max_tokens=2)
    waiting = [engine.stream(each, generation=short) for each in ("One?", "Two?")]
    with pytest.raises(BusyError, match="2 requests wait already"):
        engine.stream("Three?", generation=short)
    first.cancel()
    began = [stream.read().timing.waiting_s for stream in waiting]
    assert began[0] < began[1]
    assert engine.ask("Three?", generation=short).text


def test_room_by_tokens(vlm: VLM) -> None:
    engine = vlm.new_engine(max_tokens=60)
    short = GenerationConfig(max_tokens=20)
    size = prepared(vlm, "Who?", generation=short).inputs.num_tokens
    assert 20 < size + 20 < 60 < 2 * (size + 20)
    first, second = (engine.stream("Who?", generation=short) for _ in range(2))
    first.read()
    second.read()
    assert second.answer.timing.waiting_s > first.answer.timing.waiting_s
    with pytest.raises(PromptError, match="may come to .* more than the 60"):
        engine.stream("Who?", generation=LONG)


def test_the_thread_ends_with_the_work(vlm: VLM) -> None:
    engine = vlm.new_engine()
    engine.ask("Who?", generation=GenerationConfig(max_tokens=2))
    assert engine.close(timeout=100)
    assert engine._thread is None and engine._cache is None
    with pytest.raises(BusyError, match="closed"):
        engine.stream("Who?")


def test_closing_waits_or_cancels(vlm: VLM) -> None:
    with vlm.new_engine() as engine:
        stream = engine.stream("Who?", generation=GenerationConfig(max_tokens=30))
    assert stream.read().finish_reason == "length"
    engine = vlm.new_engine(max_batch=1)
    running, waiting = (engine.stream("Who?", generation=LONG) for _ in range(2))
    assert engine.close(cancel=True, timeout=100)
    assert {each.read().finish_reason for each in (running, waiting)} == {"cancelled"}
