"""The engine: every answer is what it is alone, whatever else is in work, comes or goes."""

import asyncio
import gc
import random
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.pdf_files import page_pdf
from support.tiny_model import TEXTS

from latentvlm.errors import BackendError, BusyError, ConfigError, MediaError, PromptError
from latentvlm.vlm import engine_loop as loop_module
from latentvlm.vlm.answer import Answer
from latentvlm.vlm.api import load
from latentvlm.vlm.asking import make_request
from latentvlm.vlm.conversation import question_message
from latentvlm.vlm.engine import Engine
from latentvlm.vlm.engine_config import EngineState
from latentvlm.vlm.prepared import Prepared
from latentvlm.vlm.sampling import GenerationConfig
from latentvlm.vlm.vlm import VLM

LONG = GenerationConfig(max_tokens=400)
WORDS = TEXTS[2].split()


@pytest.fixture(scope="module")
def vlm(tiny_folder: Path) -> VLM:
    vlm = load(tiny_folder, device="cpu", dtype="float32")
    with torch.no_grad():
        # Logits of a trained model's spread, so that the best token is clearly the best.
        vlm.model.get_parameter("language_model.lm_head.weight").mul_(4)
    return vlm


def page(seed: int = 0, size: tuple[int, int] = (48, 80)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def prepared(vlm: VLM, question: str, *media, **options) -> Prepared:
    return vlm.prepare(make_request([question_message(question, media)], **options))


def settled(engine: Engine) -> EngineState:
    """What an engine has done, once it does nothing."""
    assert engine.drain(timeout=30)
    return engine.state()


def assert_same(found: Answer, alone: Answer) -> None:
    """The same tokens, up to the first place where the two best are as good as equal."""
    for at, (ours, theirs) in enumerate(zip(found.token_ids, alone.token_ids, strict=False)):
        if ours != theirs:
            best = [logprob for _, logprob in alone.top_logprobs[at]]
            assert best[0] - best[1] < 1e-3, f"token {at} differs where the best is clear"
            return
        assert found.logprobs[at] == pytest.approx(alone.logprobs[at], abs=2e-3)
    assert (found.text, found.finish_reason) == (alone.text, alone.finish_reason)
    assert found.usage == alone.usage
    assert found.warnings == alone.warnings


def mixed_requests(count: int) -> list[tuple[str, list, dict]]:
    """Texts of 1 to 300 words, pictures and documents, greedy and drawn, short and long."""
    rng = random.Random(7)
    requests = []
    for idx in range(count):
        question = " ".join(rng.choices(WORDS, k=rng.choice([1, 3, 8, 40, 300])))
        media = [[], [], [page(idx)], [page(idx, (16, 40)), page_pdf((60, 36), (36, 60))]][idx % 4]
        drawn = {"temperature": 1.0, "top_p": 0.9, "seed": idx} if idx % 3 == 0 else {}
        config = GenerationConfig(
            max_tokens=rng.choice([1, 2, 9, 30, 60]),
            repetition_penalty=1.2 if idx % 5 == 0 else 1.0,
            top_logprobs=2,
            **drawn,
        )
        requests.append((question, media, {"generation": config}))
    return requests


def test_batched_is_alone_however_requests_arrive(
    vlm: VLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = mixed_requests(24)
    alone = [vlm.ask(question, *media, **options) for question, media, options in requests]
    monkeypatch.setattr(loop_module, "PREFILL_BLOCK", 64)  # prompts of one, and of several blocks
    engine = vlm.new_engine(max_batch=5)
    widest: list[int] = []
    real = engine._write
    monkeypatch.setattr(engine, "_write", lambda: (widest.append(len(engine._writing)), real())[1])
    found: dict[int, Answer] = {}

    def ask(numbers: list[int]) -> None:
        for idx in numbers:
            question, media, options = requests[idx]
            time.sleep(random.Random(idx).random() * 0.02)
            found[idx] = engine.ask(question, *media, **options)

    threads = [threading.Thread(target=ask, args=(list(range(k, 24, 8)),)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 24
    for idx, answer in found.items():
        assert_same(answer, alone[idx])
    assert max(widest) == 5, "the batch was never full"
    assert len(set(widest)) >= 3, "nobody came or left while others were in work"
    state = settled(engine)
    assert (state.finished, state.failed, state.cancelled) == (24, 0, 0)
    assert state.prompt_tokens == sum(each.usage.prompt_tokens for each in alone)
    assert (state.waiting, state.reading, state.writing) == (0, 0, 0)


def test_what_is_seen_twice_is_encoded_once(vlm: VLM, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []
    real = vlm.model.encode_images

    def encode(pixels, grids):
        encoded.append(len(grids))
        return real(pixels, grids)

    monkeypatch.setattr(vlm.model, "encode_images", encode)
    engine = vlm.new_engine()
    document = page_pdf((60, 36), (36, 60))
    short = {"generation": GenerationConfig(max_tokens=6)}
    first = engine.ask("Who?", page(), document, **short)
    assert encoded == [3]
    again = engine.ask("And when?", document, page(), **short)
    assert encoded == [3], "a page seen before was encoded"
    engine.ask("And when?", page(9), page(), page(9), **short)
    assert encoded == [3, 1], "only the new page is encoded, and once"
    assert settled(engine).media_hits == 5 and settled(engine).media_misses == 4
    assert first.timing.encode_s > 0
    monkeypatch.undo()
    assert_same(again, vlm.ask("And when?", document, page(), **short))


def test_the_cache_of_media_keeps_to_its_bytes(vlm: VLM) -> None:
    short = {"generation": GenerationConfig(max_tokens=1)}
    one = vlm.new_engine()
    one.ask("Who?", page(0), **short)
    size = settled(one).media_bytes
    engine = vlm.new_engine(media_bytes=2 * size)
    for seed in (0, 1, 0, 2):  # the page asked about longest ago, 1, has to go
        engine.ask("Who?", page(seed), **short)
        assert settled(engine).media_bytes <= 2 * size
    misses = settled(engine).media_misses
    engine.ask("Who?", page(0), page(2), **short)
    assert settled(engine).media_misses == misses
    engine.ask("Who?", page(1), **short)
    assert settled(engine).media_misses == misses + 1
    nothing = vlm.new_engine(media_bytes=0)
    nothing.ask("Who?", page(0), **short)
    assert settled(nothing).media_bytes == 0


def test_several_answers_share_one_reading_of_the_prompt(
    vlm: VLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = GenerationConfig(max_tokens=12, temperature=1.2, seed=3, top_logprobs=2)
    alone = [vlm.ask("Who?", page(), generation=replace(config, seed=seed)) for seed in (3, 4, 5)]
    engine = vlm.new_engine()
    rows: list[int] = []
    real = loop_module.read_packed

    def read_packed(trunk, embeds, cache):
        rows.append(len(embeds))
        return real(trunk, embeds, cache)

    monkeypatch.setattr(loop_module, "read_packed", read_packed)
    streams = engine.submit(prepared(vlm, "Who?", page(), generation=config), n=3)
    found = [stream.read() for stream in streams]
    assert rows == [1]
    assert len({answer.token_ids for answer in found}) == 3
    for ours, theirs in zip(found, alone, strict=True):
        assert_same(ours, theirs)


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


def test_an_error_harms_nobody_else(vlm: VLM, monkeypatch: pytest.MonkeyPatch) -> None:
    config = GenerationConfig(max_tokens=20, top_logprobs=2)
    alone = [vlm.ask(each, generation=config) for each in ("Who?", "When?")]
    engine = vlm.new_engine()
    good = engine.stream("Who?", generation=config)
    with pytest.raises(MediaError, match="no file"):
        engine.stream("Who?", "/nowhere.png")
    with pytest.raises(PromptError, match="empty"):
        engine.stream(" ")
    # pixels that the tower refuses, known only once they are encoded
    broken = prepared(vlm, "Who?", page(), generation=config)
    pixels = broken.inputs.pixel_values
    assert pixels is not None
    bad = engine.submit(
        replace(broken, inputs=replace(broken.inputs, pixel_values=pixels[:, :7])), n=2
    )
    damaged = prepared(vlm, "Who?", page(), generation=config)
    damaged_inputs = replace(damaged.inputs, pixel_values=pixels * float("nan"))
    nan = engine.submit(replace(damaged, inputs=damaged_inputs))[0]
    last = engine.stream("When?", generation=config)
    for stream in bad:
        with pytest.raises(Exception, match="192|shapes"):
            stream.read()
    with pytest.raises(BackendError, match="not finite"):
        nan.read()
    assert_same(good.read(), alone[0])
    assert_same(last.read(), alone[1])
    assert settled(engine).failed == 3


def test_a_row_that_fails_is_read_one_by_one(vlm: VLM, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = vlm.new_engine()
    config = GenerationConfig(max_tokens=4, top_logprobs=2)
    alone = [vlm.ask(each, generation=config) for each in ("One?", "Two?", "Three?")]
    real, rows = loop_module.read_packed, []

    def read_packed(trunk, embeds, cache):
        rows.append(len(embeds))
        if len(embeds) > 1:
            raise RuntimeError("out of memory")
        return real(trunk, embeds, cache)

    monkeypatch.setattr(loop_module, "read_packed", read_packed)
    asked = [prepared(vlm, each, generation=config) for each in ("One?", "Two?", "Three?")]
    with engine._changed:  # so that they are admitted together
        streams = [engine.submit(each)[0] for each in asked]
    for stream, expected in zip(streams, alone, strict=True):
        assert_same(stream.read(), expected)
    assert rows == [3, 1, 1, 1]


def test_a_step_that_fails_fails_its_answers_and_no_later_one(
    vlm: VLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = vlm.new_engine()

    def no_step(*_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(loop_module, "step", no_step)
    with pytest.raises(BackendError, match="RuntimeError: out of memory"):
        engine.ask("Who?", generation=LONG)
    monkeypatch.undo()
    assert engine.ask("Who?", generation=GenerationConfig(max_tokens=3)).text


def test_stop_texts_end_an_answer_in_the_engine(vlm: VLM) -> None:
    drawn = GenerationConfig(max_tokens=24, temperature=1.2, top_p=0.95, seed=5)
    whole = vlm.ask("Read this line.", page(), generation=drawn).text
    config = replace(drawn, stop=(whole[4:7],))
    alone = vlm.ask("Read this line.", page(), generation=config)
    found = vlm.new_engine().ask("Read this line.", page(), generation=config)
    assert (found.text, found.token_ids) == (alone.text, alone.token_ids)
    assert found.finish_reason == "stop"


def test_the_thread_ends_with_the_work(vlm: VLM) -> None:
    engine = vlm.new_engine()
    engine.ask("Who?", generation=GenerationConfig(max_tokens=2))
    assert engine.close(timeout=10)
    assert engine._thread is None and engine._cache is None
    with pytest.raises(BusyError, match="closed"):
        engine.stream("Who?")


def test_closing_waits_or_cancels(vlm: VLM) -> None:
    with vlm.new_engine() as engine:
        stream = engine.stream("Who?", generation=GenerationConfig(max_tokens=30))
    assert stream.read().finish_reason == "length"
    engine = vlm.new_engine(max_batch=1)
    running, waiting = (engine.stream("Who?", generation=LONG) for _ in range(2))
    assert engine.close(cancel=True, timeout=10)
    assert {each.read().finish_reason for each in (running, waiting)} == {"cancelled"}


def test_a_batch_is_its_questions(vlm: VLM) -> None:
    config = GenerationConfig(max_tokens=6, top_logprobs=2)
    questions = [
        "Who?",
        {"question": "Which?", "media": page()},
        {"question": "Which?", "media": [page(1), page_pdf((60, 36))], "pages": "1"},
        {"messages": [{"role": "user", "content": "When?"}]},
    ]
    answers = vlm.ask_batch(questions, generation=config)
    alone = [
        vlm.ask("Who?", generation=config),
        vlm.ask("Which?", page(), generation=config),
        vlm.ask("Which?", page(1), page_pdf((60, 36)), pages="1", generation=config),
        vlm.ask("When?", generation=config),
    ]
    for ours, theirs in zip(answers, alone, strict=True):
        assert_same(ours, theirs)
    assert vlm.ask_batch([]) == []


def test_a_batch_with_a_bad_question(vlm: VLM) -> None:
    short = GenerationConfig(max_tokens=2)
    questions = ["Who?", {"question": "Which?", "media": "/nowhere.png"}, "When?"]
    found = vlm.ask_batch(questions, on_error="return", generation=short)
    assert isinstance(found[1], MediaError)
    assert [isinstance(each, Answer) for each in found] == [True, False, True]
    with pytest.raises(MediaError, match="nowhere"):
        vlm.ask_batch(questions, generation=short)
    with pytest.raises(PromptError, match="either a 'question' or 'messages'"):
        vlm.ask_batch([{"media": page()}])
    with pytest.raises(PromptError, match="colour"):
        vlm.ask_batch([{"question": "Who?", "colour": "red"}])
    with pytest.raises(PromptError, match="must be a list"):
        vlm.ask_batch("Who?")


def test_answers_for_an_event_loop(vlm: VLM) -> None:
    config = GenerationConfig(max_tokens=12, top_logprobs=2)

    async def ask(question: str) -> tuple[str, Answer]:
        stream = await vlm.stream_async(question, page(), generation=config)
        shown = "".join([piece async for piece in stream])
        return shown, stream.answer

    async def all_of_them():
        return await asyncio.gather(*(ask(each) for each in ("Who?", "When?", "Why?")))

    for question, (shown, answer) in zip(
        ("Who?", "When?", "Why?"), asyncio.run(all_of_them()), strict=True
    ):
        assert shown == answer.text
        assert_same(answer, vlm.ask(question, page(), generation=config))
    alone = asyncio.run(vlm.ask_async("Who?", generation=config))
    assert_same(alone, vlm.ask("Who?", generation=config))
    turns = [{"role": "user", "content": "Who?"}, alone.as_message()]
    turns.append({"role": "user", "content": "When?"})
    said = asyncio.run(vlm.chat_async(turns, generation=config))
    assert_same(said, vlm.chat(turns, generation=config))


def test_a_task_that_is_cancelled_frees_its_place(vlm: VLM) -> None:
    async def run() -> None:
        task = asyncio.create_task(vlm.ask_async("Read this line.", generation=LONG))
        while not vlm.engine.state().writing:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    before = settled(vlm.engine).cancelled
    asyncio.run(run())
    assert settled(vlm.engine).cancelled == before + 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_batch": 0}, "max_batch is 0 "),
        ({"max_waiting": -1}, "max_waiting is -1 "),
        ({"media_bytes": 1.5}, "media_bytes is 1.5 "),
        ({"max_tokens": True}, "max_tokens is True "),
        ({"speed": 1}, "no such setting"),
    ],
)
def test_settings_that_cannot_be(vlm: VLM, settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        vlm.new_engine(**settings)


def test_more_answers_than_places(vlm: VLM) -> None:
    with pytest.raises(ConfigError, match="n is 3 but must be from 1 to 2"):
        vlm.new_engine(max_batch=2).submit(prepared(vlm, "Who?"), n=3)
