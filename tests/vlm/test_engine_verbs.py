"""Batches of questions, and answers for an event loop, by the engine of a model."""

import asyncio
from pathlib import Path

import pytest
from support.engines import LONG, assert_same, page, settled, sharp_vlm
from support.pdf_files import page_pdf

from latentvlm.errors import MediaError, PromptError
from latentvlm.vlm.answer import Answer
from latentvlm.vlm.sampling import GenerationConfig
from latentvlm.vlm.vlm import VLM


@pytest.fixture(scope="module")
def vlm(tiny_folder: Path) -> VLM:
    return sharp_vlm(tiny_folder)


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
