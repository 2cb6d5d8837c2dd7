"""Turns of the demo without a page: what is asked, what comes back, and what is kept."""

import asyncio
import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from support.endless import ANSWER, THOUGHT

import latentvlm
from latentvlm.app.demo.answering import Progress, answer
from latentvlm.app.demo.chat_text import SHOW_PAGE, chat_messages
from latentvlm.app.demo.extraction import Extraction, extract_all, table_of
from latentvlm.app.demo.figures import figures_html
from latentvlm.app.demo.models import Models
from latentvlm.app.demo.running import Running
from latentvlm.app.demo.seen import best_view, views_of
from latentvlm.app.demo.settings import Settings
from latentvlm.app.demo.timeline import timeline_html
from latentvlm.app.demo.transcript import as_json, as_markdown, write_transcripts
from latentvlm.app.demo.turns import Turn, conversation
from latentvlm.app.demo.views import WAYS
from latentvlm.vlm.answer import CitedPage
from latentvlm.vlm.extract import read_fields
from latentvlm.vlm.limits import ModelLimits

SHORT = Settings(max_tokens=16)


def ask(model, turns, question, files, settings=SHORT, stopped=None) -> list[Progress]:
    async def read() -> list[Progress]:
        flag = stopped or threading.Event()
        return [each async for each in answer(model, turns, question, files, settings, flag)]

    return asyncio.run(read())


def test_later_questions_see_the_files_of_earlier_ones_and_encode_nothing(
    open_seeing, picture: Path, clip: Path
) -> None:
    files = [str(picture), str(clip)]
    first = ask(open_seeing, [], "What?", files)[-1].turn
    assert first.answer is not None and first.answer.usage.videos and not first.error
    before = open_seeing.engine.state()
    second = ask(open_seeing, [first], "And then?", [])[-1]
    after = open_seeing.engine.state()
    assert (after.media_misses, after.media_hits) == (before.media_misses, before.media_hits + 2)
    media = [{"type": "media", "media": file} for file in files]
    messages = [
        {"role": "user", "content": [*media, {"type": "text", "text": "What?"}]},
        first.answer.as_message(),
        {"role": "user", "content": "And then?"},
    ]
    generation = latentvlm.GenerationConfig(max_tokens=16)
    alone = open_seeing.vlm.chat(messages, generation=generation, evs_rate=0.0)
    assert second.turn.text == alone.text
    assert second.is_over and [view.title for view in views_of(second.explanation)][:2] == [
        "page.png",
        "moving.mp4 at 0.00 s",
    ]


def test_what_evs_dropped_is_told_and_drawn(open_seeing, clip: Path) -> None:
    last = ask(open_seeing, [], "What?", [str(clip)], replace(SHORT, evs_rate=0.75))[-1]
    views = views_of(last.explanation)
    assert last.turn.answer is not None
    usage = last.turn.answer.usage
    assert sum(view.tokens for view in views) == usage.visual_tokens
    assert sum(view.before for view in views) == usage.visual_tokens_before
    assert 4 * usage.visual_tokens == usage.visual_tokens_before
    assert views[0].tokens == views[0].before > views[1].tokens
    drawn = {way: views[1].draw(way) for way in WAYS}
    assert len({picture.tobytes() for picture in drawn.values()}) == 3
    assert sum(view.share or 0 for view in views) == pytest.approx(1, abs=1e-4)
    html = timeline_html(views, best_view(views))
    assert html.count("data-view=") == len(views) and html.count(" shown") == 1
    assert f"{usage.visual_tokens:,} visual tokens of" in html and "were left out" in html
    assert "75% less" in figures_html(last.turn.answer, ModelLimits())


def test_a_bad_file_gives_one_sentence_that_names_it_without_its_folder(
    open_seeing, tmp_path: Path
) -> None:
    bad = tmp_path / "notes.pdf"
    bad.write_bytes(b"%PDF-1.4 nothing")
    last = ask(open_seeing, [], "What?", [str(bad)])[-1]
    assert last.is_over and last.bad_files and last.turn.answer is None
    assert "notes.pdf" in last.turn.error and str(tmp_path) not in last.turn.error
    assert "\n" not in last.turn.error
    assert chat_messages([last.turn])[1]["content"] == f"⚠️ {last.turn.error}"
    # It leaves no trace in what the model reads next.
    assert len(conversation([last.turn], "And?", [])) == 1
    empty = ask(open_seeing, [], "  ", [])[-1]
    assert empty.turn.error.startswith("The question is empty") and not empty.bad_files


def test_thought_and_answer_come_apart_and_stop_ends_both(open_thinking) -> None:
    stopped = threading.Event()
    seen: list[Progress] = []

    async def read() -> None:
        steps = answer(open_thinking, [], "How many rows?", [], Settings(), stopped)
        async for each in steps:
            seen.append(each)
            if each.turn.text:
                stopped.set()

    asyncio.run(read())
    last = seen[-1].turn
    assert last.thought == THOUGHT and last.text and ANSWER.startswith(last.text[:8])
    assert last.answer is not None and last.answer.finish_reason == "cancelled"
    assert open_thinking.engine.drain(timeout=10)
    assert open_thinking.engine.state().cancelled >= 1
    titles = [each.get("metadata", {}).get("title") for each in chat_messages([last])]
    assert titles == [None, "Thinking", None]
    assert chat_messages([last])[-1]["content"].endswith("*Stopped.*")


def test_switches_that_a_model_has_no_use_for_are_left_out(open_seeing, open_thinking) -> None:
    settings = Settings(evs_rate=0.5, thinking="on", thinking_budget=64, token_budget=128)
    seeing, thinking = settings.options(open_seeing), settings.options(open_thinking)
    assert seeing["evs_rate"] == 0.5 and "thinking" not in seeing
    assert thinking["thinking"] is True and thinking["thinking_budget"] == 64
    assert "evs_rate" not in thinking and seeing["token_budget"] == 128
    assert Settings().options(open_seeing)["token_budget"] is None
    assert "no videos" not in open_seeing.describe()
    assert open_thinking.describe() == "Reads text alone; thinks aloud."


def test_only_what_runs_for_a_visitor_is_stopped() -> None:
    running = Running()
    with running.of("a") as one, running.of("b") as other:
        running.stop("a")
        running.stop("nobody")
        assert one.is_set() and not other.is_set()
    assert other.is_set()


def test_a_model_is_opened_once_and_when_it_is_asked_for(seeing) -> None:
    opened = []

    def load():
        opened.append(1)
        return seeing

    models = Models({"one": load, "two": load})
    assert models.names == ["one", "two"] and not opened
    assert models.get("one") is models.get("one") and len(opened) == 1
    models.close()
    with pytest.raises(latentvlm.BusyError):
        models.get("one").engine.ask("What?")


def test_a_conversation_is_kept_as_markdown_and_json(open_seeing, picture, tmp_path) -> None:
    turn = ask(open_seeing, [], "What?", [str(picture)])[-1].turn
    assert turn.answer is not None
    cited = CitedPage(index=0, source=str(picture), number=3, confidence=0.9)
    turn = replace(turn, answer=replace(turn.answer, pages=(cited,), warnings=("Look twice.",)))
    failed = Turn(question="Why?", error="It is broken.")
    for file in write_transcripts([turn, failed], tmp_path / "deep"):
        assert file.is_file()
    markdown, values = as_markdown([turn, failed]), json.loads(as_json([turn, failed]))
    assert "- page.png" in markdown and "Read from page.png, page 3." in markdown
    assert "*Note: Look twice.*" in markdown and "It is broken." in markdown
    assert values[0]["answer"]["pages"][0]["source"] == "page.png"
    assert values[0]["answer"]["usage"]["visual_tokens"] == turn.answer.usage.visual_tokens
    assert values[1] == {**values[1], "question": "Why?", "error": "It is broken."}
    assert str(picture.parent) not in markdown + as_json([turn])
    options = chat_messages([turn])[-1]["options"]
    assert options == [{"value": f"{SHOW_PAGE}0", "label": "Read from page.png, page 3"}]


def test_fields_of_several_files_become_rows_and_bad_ones_are_named(
    open_seeing, picture: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "broken.png"
    bad.write_bytes(b"no picture")
    specs = read_fields("total:number, sender")

    async def read() -> list[Extraction]:
        files, flag = [str(bad), str(picture)], threading.Event()
        return [each async for each in extract_all(open_seeing, files, specs, flag)]

    steps = asyncio.run(read())
    last = steps[-1]
    assert [len(step.rows) + len(step.failures) for step in steps] == [0, 1, 2, 2]
    assert last.is_over and "broken.png" in last.failures[0]
    assert str(tmp_path) not in last.failures[0]
    (row,) = last.rows
    alone = open_seeing.vlm.extract(specs, str(picture))
    assert row["file"] == "page.png" and row["sender"] == alone["sender"].value
    (cells,) = table_of(last.rows, specs)
    assert cells[0] == "page.png" and len(cells) == 3
    assert cells[1] == "" or cells[1].startswith(str(row["total"]))
