"""One model object, asked by many threads at once: each gets the answer it gets alone."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from latentvlm.vlm.answer import Answer
from latentvlm.vlm.api import load
from latentvlm.vlm.sampling import GenerationConfig
from latentvlm.vlm.vlm import VLM

CONFIG = GenerationConfig(max_tokens=6)
THREADS = 6


@pytest.fixture(scope="module")
def vlm(tiny_folder: Path) -> VLM:
    return load(tiny_folder, device="cpu", dtype="float32")


def page(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (48, 80, 3), dtype=np.uint8)


def ways(vlm: VLM, seed: int) -> list[tuple[int, ...]]:
    """Every verb there is, on a page of this thread's own."""
    question, shown = "What is the total?", page(seed)
    content = [{"type": "image", "image": shown}, {"type": "text", "text": question}]
    found: list[Answer] = [
        vlm.ask(question, shown, generation=CONFIG),
        vlm.stream(question, shown, generation=CONFIG).read(),
        vlm.chat([{"role": "user", "content": content}], generation=CONFIG),
        vlm.engine.ask(question, shown, generation=CONFIG),
        *vlm.ask_batch([{"question": question, "media": shown}] * 2, generation=CONFIG),
    ]
    return [answer.token_ids for answer in found]


def test_threads_do_not_see_each_other(vlm: VLM) -> None:
    alone = [ways(vlm, seed) for seed in range(THREADS)]
    assert len({each[0] for each in alone}) > 1, "all pages get one answer: nothing is tested"
    start = threading.Barrier(THREADS)

    def at_once(seed: int) -> list[tuple[int, ...]]:
        start.wait()
        return ways(vlm, seed)

    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(at_once, range(THREADS))) == alone
    assert vlm.engine.drain(timeout=60)


def test_one_engine_is_made_however_many_threads_ask_first(tiny_folder: Path) -> None:
    fresh = load(tiny_folder, device="cpu", dtype="float32")
    start = threading.Barrier(THREADS)

    def first(_: int) -> int:
        start.wait()
        return id(fresh.engine)

    with ThreadPoolExecutor(THREADS) as pool:
        assert len(set(pool.map(first, range(THREADS)))) == 1
