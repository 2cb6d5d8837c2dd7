"""Malformed requests and media: refused in a sentence, with nothing left behind."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.broken_files import broken_files, damaged, picture
from support.clips import write_clip
from support.leaks import no_leak
from support.openai_requests import create, data_url, image, page, png, post, user
from support.pdf_files import page_pdf

from latentvlm.app.server.config import ServerConfig

SECONDS, NUM_DAMAGED = (40, 24) if os.environ.get("LATENTVLM_SMOKE") else (300, 1500)
KEY = "secret"


def as_parts(url: str) -> Iterator[tuple[str, dict]]:
    """A medium in every shape in which a request may hold one."""
    yield "messages", {"type": "image_url", "image_url": {"url": url}}
    yield "messages", {"type": "video_url", "video_url": {"url": url}}
    yield "messages", {"type": "file", "file": {"file_data": url}}
    yield "input", {"type": "input_image", "image_url": url}
    yield "input", {"type": "input_file", "file_data": url, "filename": "a.pdf"}


def ask_about(server, key: str, part: dict) -> tuple[int, dict]:
    limit = {"messages": "max_tokens", "input": "max_output_tokens"}[key]
    path = {"messages": "/v1/chat/completions", "input": "/v1/responses"}[key]
    kind = "text" if key == "messages" else "input_text"
    message = {"role": "user", "content": [part, {"type": kind, "text": "Who?"}]}
    body = {"model": "", key: [message], limit: 1}
    return post(server, path, json.dumps(body).encode())


def assert_a_sentence(name: str, status: int, answer: dict) -> None:
    assert status in (200, 400, 403, 413), (name, status, answer)
    if status != 200:
        message = answer["error"]["message"]
        assert message.endswith((".", ")")) and "\n" not in message, (name, message)


@pytest.mark.parametrize(
    "url",
    ["", "data:", "data:,", "data:;base64,", "data:;base64,%%%", "data:image/png;base64,AAA",
     "data:image/png,%89PNG%0D%0A", "data:application/pdf;base64,JVBERi0=", "DATA:x", "file://",
     "file:///etc/passwd", "/dev/zero", "../../etc/passwd", "file:///proc/self/environ",
     "file://\0", "http://127.0.0.1/", "https://[::1]/", "HTTP://localhost/", "gopher://a/",
     "\ud83d\ude00", "data:;base64," + "A" * 200_000],
)  # fmt: skip
def test_addresses_of_every_kind(server, url: str) -> None:
    for key, part in as_parts(url):
        status, answer = ask_about(server, key, part)
        assert_a_sentence(url[:40], status, answer)
        assert status != 200, url[:40]


def test_damaged_files_are_no_500(server, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", 4).read_bytes()
    whole = [picture("PNG"), picture("JPEG"), picture("TIFF"), page_pdf((60, 36)), clip]
    rng, seen = random.Random(7), set()
    for number in range(24):
        url = data_url(damaged(rng.choice(whole), rng), "x/y")
        for key, part in rng.sample(list(as_parts(url)), 1):
            status, answer = ask_about(server, key, part)
            assert_a_sentence(f"number {number}", status, answer)
            seen.add(status)
    assert {200, 400} <= seen, "everything was refused, or nothing"


@pytest.mark.slow
def test_broken_media_leaves_nothing_behind(
    serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, temporary = tmp_path / "files", tmp_path / "temporary"
    files.mkdir()
    temporary.mkdir()
    clip = write_clip(files / "whole.mp4", 12).read_bytes()
    config = ServerConfig(max_pages=20, max_pixels=4_000_000)
    with serve(config, max_batch=4) as server:

        def ask(name: str, data: bytes) -> set[int]:
            found = set()
            for key, part in as_parts(data_url(data, "application/octet-stream")):
                status, answer = ask_about(server, key, part)
                assert_a_sentence(name, status, answer)
                found.add(status)
            return found

        assert ask("clip", clip) == ask("page", page_pdf((60, 36))) == {200}
        for name, data in broken_files(files, num_damaged=20, seed=1):  # warms up
            ask(name, data)
        counts = {200: 0, 400: 0, 413: 0}
        with no_leak(monkeypatch, temporary, most_bytes=96 * 2**20):
            for name, data in broken_files(files, num_damaged=NUM_DAMAGED):
                for status in ask(name, data):
                    counts[status] += 1
            assert server.engine.drain(timeout=60)
        print(f"{NUM_DAMAGED} damaged files and the rest, by status: {counts}")
        assert counts[200] and counts[400]
        assert server.engine.state().failed == 0
        assert create(server.client(), user("Who?", image(png(page())))).choices


@pytest.mark.slow
def test_schemathesis_finds_nothing(serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The description of the interface against what it does: statuses, shapes, keys, refusals."""
    config = ServerConfig(api_keys=(KEY,), max_answer_tokens=6, request_s=60)
    program = [sys.executable, "-m", "schemathesis.cli", "run"]
    options = [
        # that a request fits the schema does not yet mean that its model can do what it asks
        *("--checks", "all", "--exclude-checks", "positive_data_acceptance"),
        *("--max-time", str(SECONDS), "--max-examples", "100000", "--seed", "5"),
        *("--suppress-health-check", "all", "--generation-database", "none", "--no-color"),
        *("--continue-on-failure", "--no-shrink", "--request-timeout", "60"),
    ]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with serve(config, max_batch=4) as server:
        assert create(
            server.client(api_key=KEY), user("Who?", image(png(page()))), max_tokens=2
        ).choices
        with no_leak(monkeypatch, temporary, most_bytes=96 * 2**20):
            found = subprocess.run(
                [*program, f"{server.url}/openapi.json", "-H", f"Authorization: Bearer {KEY}"]
                + options,
                cwd=tmp_path,
                capture_output=True,
                text=True,
            )
            print(found.stdout[-1500:])
            assert found.returncode == 0, found.stdout[-6000:] + found.stderr[-2000:]
            assert "6 selected / 6 total" in found.stdout
            assert server.engine.drain(timeout=60)
        assert server.engine.state().failed == 0
