"""The server as a process: it answers, drains when told to stop, starts again after a kill."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.openai_requests import image, user

START = "import sys; from latentvlm.app.cli import main; main(sys.argv[1:])"
SAMPLE = (Path(__file__).parents[3] / "data" / "samples" / "invoice.png").read_bytes()

pytestmark = pytest.mark.slow


@contextmanager
def started() -> Iterator[tuple[subprocess.Popen, str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", START, "serve", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                health(url)
                break
            except urllib.error.URLError:
                assert process.poll() is None, process.communicate()[1].decode()
                time.sleep(0.1)
        yield process, url
    finally:
        process.kill()
        process.communicate()


def health(url: str) -> dict:
    with urllib.request.urlopen(f"{url}/health", timeout=30) as answer:
        return json.load(answer)


def ask(url: str, question: str) -> str:
    body = {"model": "latentvlm", "messages": user(question, image(SAMPLE))}
    request = urllib.request.Request(
        f"{url}/v1/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)["choices"][0]["message"]["content"]


def test_told_to_stop_it_finishes_what_it_has_begun() -> None:
    with started() as (process, url):
        assert ask(url, "What is the total?") == "$28.21"
        answers: list[str] = []
        threads = [
            threading.Thread(target=lambda: answers.append(ask(url, "Transcribe the text.")))
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        while health(url)["writing"] == 0 and not answers:
            time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        assert len(answers) == 6 and len(set(answers)) == 1 and "28.21" in answers[0]
        assert process.wait(timeout=60) in (0, -signal.SIGTERM)
        with pytest.raises(urllib.error.URLError):
            health(url)


def test_after_a_kill_it_starts_again() -> None:
    with started() as (process, url):
        process.kill()
        process.wait()
    with started() as (_, url):
        assert ask(url, "What is the total?") == "$28.21"
