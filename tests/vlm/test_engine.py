"""The engine: every answer is what it is alone, whatever else is in work, comes or goes."""

import random
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from support.engines import assert_same, page, prepared, settled, sharp_vlm
from support.pdf_files import page_pdf
from support.tiny_model import TEXTS

from latentvlm.errors import ConfigError
from latentvlm.vlm import engine_loop as loop_module
from latentvlm.vlm.answer import Answer
from latentvlm.vlm.sampling import GenerationConfig
from latentvlm.vlm.vlm import VLM

WORDS = TEXTS[2].split()


@pytest.fixture(scope="module")
def vlm(tiny_folder: Path) -> VLM:
    return sharp_vlm(tiny_folder)


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


def test_stop_texts_end_an_answer_in_the_engine(vlm: VLM) -> None:
    drawn = GenerationConfig(max_tokens=24, temperature=1.2, top_p=0.95, seed=5)
    whole = vlm.ask("Read this line.", page(), generation=drawn).text
    config = replace(drawn, stop=(whole[4:7],))
    alone = vlm.ask("Read this line.", page(), generation=config)
    found = vlm.new_engine().ask("Read this line.", page(), generation=config)
    assert (found.text, found.token_ids) == (alone.text, alone.token_ids)
    assert found.finish_reason == "stop"


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
