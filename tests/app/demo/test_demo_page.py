"""The demo in a real browser: files of each kind, stop, a second turn, a narrow and dark page."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.browser import opened
from support.endless import ANSWER, THOUGHT

import latentvlm
from latentvlm.app.demo.config import DemoConfig
from latentvlm.app.demo.models import Models
from latentvlm.app.demo.run import build, open_page

pytestmark = pytest.mark.slow
WAIT = 120_000
NAMES = ("in the package", "seeing", "thinking")


class Demo:
    """What a test holds of one that listens on a free port of loopback."""

    def __init__(self, address: str, models: Models, folder: Path) -> None:
        self.address, self.models, self.folder = address, models, folder

    def opened(self, **options: Any):
        return opened(self.address, within=self.address, **options)


@pytest.fixture(scope="module")
def demo(seeing, thinking, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    opens = (latentvlm.load, lambda: seeing, lambda: thinking)
    models = Models(dict(zip(NAMES, opens, strict=True)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "uploads"))
        page = build(models, folder)
        address = open_page(page, DemoConfig(port=0))
        yield Demo(address, models, folder)
        page.close(verbose=False)
    models.close()


def choose(page, name: str, demo: Demo) -> None:
    page.locator("#model input").click()
    page.get_by_role("option", name=name).click()
    line = page.locator("#model-line").get_by_text(demo.models.get(name).describe(), exact=True)
    line.wait_for(timeout=WAIT)


def ask(page, question: str, *files: Path) -> None:
    if files:
        page.locator("#ask-box input[type=file]").set_input_files(list(map(str, files)))
        page.locator("#ask-box .thumbnail-item").nth(len(files) - 1).wait_for(timeout=WAIT)
    page.locator("#ask-box textarea").fill(question)
    page.keyboard.press("Enter")


def answered(page, count: int, text: str = "") -> str:
    """The text of the last of so many answers, once it is whole and has `text` in it."""
    last = page.locator("#chat .bot.message").nth(count - 1)
    last.wait_for(timeout=WAIT)
    page.locator("#ask-box .submit-button").wait_for(timeout=WAIT)
    last.get_by_text(text).first.wait_for(timeout=WAIT)
    return last.inner_text()


def shown(page, other: str = "") -> str:
    """The address of the picture that is shown, once it is another than `other`."""
    find = "document.querySelector('#view-picture img')?.getAttribute('src')"
    return page.wait_for_function(
        f"other => {{ const now = {find}; return now && now !== other && now }}", arg=other
    ).json_value()


def until(is_so: Callable[[], bool], what: str) -> None:
    """Wait for something of this process, which no page shows."""
    end = time.monotonic() + WAIT / 1000
    while not is_so():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def test_a_picture_then_a_second_question_that_encodes_nothing(demo: Demo) -> None:
    sample = Path(latentvlm.__file__).parent / "data" / "samples" / "invoice.png"
    engine = demo.models.get(NAMES[0]).engine
    with demo.opened() as page:
        ask(page, "What is the total?", sample)
        alone = demo.models.get(NAMES[0]).vlm.ask("What is the total?", sample)
        answered(page, 1, alone.text)
        before = engine.state()
        page.locator("#view-title").get_by_text("invoice.png").wait_for(timeout=WAIT)
        tokens = shown(page)
        page.get_by_label("Where the answer looked").check()
        page.locator("#view-facts").get_by_text("100% of the answer's look").wait_for(timeout=WAIT)
        shown(page, other=tokens)
        ask(page, "Who is it from?")
        answered(page, 2)
        after = engine.state()
        assert after.media_misses == before.media_misses
        assert after.media_hits == before.media_hits + 1
        for name in ("Visual tokens", "First token", "Speed"):
            page.locator("#figures").get_by_text(name).first.wait_for(timeout=WAIT)
        with page.expect_download() as saving:
            page.get_by_role("button", name="Save JSON").click()
        turns = json.loads(Path(saving.value.path()).read_text(encoding="utf-8"))
        assert [turn["question"] for turn in turns] == ["What is the total?", "Who is it from?"]
        assert turns[0]["answer"]["text"] == alone.text and turns[0]["files"] == ["invoice.png"]
        page.get_by_role("button", name="New conversation").click()
        page.get_by_text("A slip of paper").wait_for(timeout=WAIT)


def test_pages_of_a_pdf_by_slider_bar_and_citation(demo: Demo) -> None:
    slips = demo.folder / "examples" / "slips.pdf"
    with demo.opened() as page:
        ask(page, "What is the total?", slips)
        answered(page, 1)
        page.locator("#timeline .bar").nth(4).wait_for(timeout=WAIT)
        page.locator("#timeline .bar").nth(1).click()
        page.locator("#view-title").get_by_text("slips.pdf, page 2 of 5").wait_for(timeout=WAIT)
        page.locator("#view-slider input[type=range]").focus()
        page.keyboard.press("ArrowRight")
        page.locator("#view-title").get_by_text("slips.pdf, page 3 of 5").wait_for(timeout=WAIT)
        page.locator("#timeline .bar.shown[data-view='2']").wait_for(timeout=WAIT)
        alone = demo.models.get(NAMES[0]).vlm.ask("What is the total?", slips)
        cited = [each.number for each in alone.pages]
        buttons = page.get_by_role("button", name=re.compile("Read from slips.pdf"))
        if cited:
            buttons.nth(len(cited) - 1).wait_for(timeout=WAIT)
        assert buttons.count() == len(cited)
        for number in cited:
            page.locator("#timeline .bar").nth(0).click()
            page.locator("#view-title").get_by_text("page 1 of 5").wait_for(timeout=WAIT)
            buttons.click()
            page.locator("#view-title").get_by_text(f"page {number} of 5").wait_for(timeout=WAIT)


def test_a_video_with_dropped_tokens_and_a_file_that_is_none(
    demo: Demo, clip: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "notes.pdf"
    bad.write_bytes(b"%PDF-1.4 nothing")
    with demo.opened() as page:
        choose(page, "seeing", demo)
        page.get_by_role("button", name="Settings").click()
        page.get_by_label("number input for EVS rate").fill("0.75")
        page.keyboard.press("Tab")
        ask(page, "What is it?", bad)
        told = answered(page, 1, "notes.pdf")
        assert str(demo.folder) not in told and "\n" not in told.strip()
        page.wait_for_function(
            "document.querySelector('#ask-box textarea').value === 'What is it?'"
        )
        ask(page, "What moves?", clip)
        page.locator("#view-title").get_by_text("moving.mp4").wait_for(timeout=WAIT)
        page.locator("#timeline").get_by_text("75% were left out").wait_for(timeout=WAIT)
        page.locator("#figures").get_by_text("75% less").wait_for(timeout=WAIT)
        first = shown(page)
        other = page.locator("#timeline .bar:not(.shown)").last
        number = other.get_attribute("data-view")
        other.click()
        page.locator(f"#timeline .bar.shown[data-view='{number}']").wait_for(timeout=WAIT)
        shown(page, other=first)


def test_two_pages_at_once_and_a_stop_that_frees_its_place(demo: Demo) -> None:
    with demo.opened(count=2) as pages:
        for page in pages:
            choose(page, "thinking", demo)
            page.get_by_role("button", name="Settings").click()
            page.get_by_label(re.compile("number input for Longest answer")).fill("4096")
            page.keyboard.press("Tab")
        engine = demo.models.get("thinking").engine
        before = engine.state()
        for page in pages:
            ask(page, "How many?")
        for page in pages:
            page.locator("#chat").get_by_text(ANSWER[:5]).first.wait_for(timeout=WAIT)
            page.get_by_text("Thinking", exact=True).first.wait_for(timeout=WAIT)
        assert engine.state().writing == 2
        pages[0].get_by_role("button", name="Stop", exact=True).first.click()
        pages[0].get_by_text("Stopped.").wait_for(timeout=WAIT)
        until(lambda: engine.state().writing == 1, "the stop did not free its place")
        assert engine.state().cancelled == before.cancelled + 1
        pages[0].get_by_role("button", name="Thinking").first.click()
        pages[0].get_by_text(THOUGHT).wait_for(timeout=WAIT)
        # Whoever goes away frees the place as well.
        pages[1].close()
        assert engine.drain(timeout=WAIT / 1000)
    assert engine.state().writing == 0


def test_a_table_of_documents(demo: Demo, tmp_path: Path) -> None:
    bad = tmp_path / "broken.png"
    bad.write_bytes(b"no picture")
    sample = Path(latentvlm.__file__).parent / "data" / "samples" / "invoice.png"
    with demo.opened() as page:
        page.get_by_role("tab", name="Extract a table").click()
        page.get_by_role("button", name="Extract", exact=True).click()
        page.get_by_text("Drop some documents first.").wait_for(timeout=WAIT)
        page.locator("#extract-files input[type=file]").set_input_files([str(sample), str(bad)])
        page.locator("#extract-files").get_by_text("broken").first.wait_for(timeout=WAIT)
        page.locator("#extract-fields textarea, #extract-fields input").first.fill("total:number")
        page.get_by_role("button", name="Extract", exact=True).click()
        page.get_by_text("2 of 2 documents.").wait_for(timeout=WAIT)
        page.locator("#extract-note").get_by_text("broken.png").wait_for(timeout=WAIT)
        found = demo.models.get(NAMES[0]).vlm.extract("total:number", sample)["total"]
        with page.expect_download() as saving:
            page.get_by_role("button", name="Save as CSV").click()
        lines = Path(saving.value.path()).read_text(encoding="utf-8").splitlines()
        value = "" if found.value is None else str(found.value)
        assert lines[0].startswith("file,total,") and lines[1].startswith(f"invoice.png,{value},")
        assert len(lines) == 2
        page.wait_for_function(
            "value => document.querySelector('#extract-table').innerText.includes(value)", arg=value
        )


def test_a_narrow_dark_page_by_the_keyboard_alone(demo: Demo) -> None:
    sample = Path(latentvlm.__file__).parent / "data" / "samples" / "invoice.png"
    with demo.opened(width=390, scheme="dark") as page:
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert max(map(int, re.findall(r"\d+", dark)[:3])) < 60
        with page.expect_file_chooser(timeout=WAIT) as choosing:
            focus_by_tab(page, "#ask-box button")
            page.keyboard.press("Enter")
        choosing.value.set_files(str(sample))
        page.locator("#ask-box .thumbnail-item").first.wait_for(timeout=WAIT)
        focus_by_tab(page, "#ask-box textarea")
        page.keyboard.type("What is the total?")
        page.keyboard.press("Enter")
        answered(page, 1)
        page.locator("#view-picture img").wait_for(timeout=WAIT)
        focus_by_tab(page, "#view-way input")
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        page.wait_for_function("document.querySelectorAll('#view-way input')[1].checked")
        page.locator("#view-facts").get_by_text("visual tokens").wait_for(timeout=WAIT)
        widest = page.evaluate("document.documentElement.scrollWidth")
        assert widest <= 390


def focus_by_tab(page, selector: str) -> None:
    """Press Tab, forward from the top of the page, until something is focused."""
    page.evaluate("document.activeElement?.blur()")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("s => document.activeElement?.matches(s) ?? false", selector):
            return
    raise AssertionError(f"{selector} cannot be reached by the Tab key")


def test_the_process_talks_to_nobody_else_and_cleans_up(tmp_path: Path) -> None:
    """`latentvlm demo` itself, every name of another machine being refused."""
    import os
    import signal
    import subprocess
    import sys
    import urllib.request

    code = """if True:
        import socket, sys
        real = socket.getaddrinfo
        def only_here(host, *rest, **more):
            if host not in (None, "127.0.0.1", "localhost", "::1", b"127.0.0.1"):
                print("LEFT", host, file=sys.stderr, flush=True)
                raise OSError("no")
            return real(host, *rest, **more)
        socket.getaddrinfo = only_here
        from latentvlm.app.cli import main
        main(["demo", "--port", "0"])
    """
    env = {**os.environ, "TMPDIR": str(tmp_path), "GRADIO_ANALYTICS_ENABLED": "True"}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, env=env
    )
    assert process.stderr is not None
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(process.stderr or ()), daemon=True)
    reader.start()
    end = time.monotonic() + 120
    while not any("open http" in line for line in lines) and time.monotonic() < end:
        assert process.poll() is None, lines
        time.sleep(0.1)
    address = next(line for line in lines if "open http" in line).split()[1]
    assert address.startswith("http://127.0.0.1:")
    assert list(tmp_path.glob("latentvlm-demo-*"))
    with urllib.request.urlopen(address) as answer:
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'self'") and "http" not in policy
        assert "fonts.googleapis" not in answer.read().decode()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    reader.join(10)
    assert not any("LEFT" in line for line in lines)
    assert not list(tmp_path.glob("latentvlm-demo-*"))
