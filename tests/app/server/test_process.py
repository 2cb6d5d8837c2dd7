"""The server as a process: it answers, drains when told to stop, starts again after a kill."""

import contextlib
import http.client
import json
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from support.openai_requests import image, user
from support.server_process import health, server_process

SAMPLE = (Path(__file__).parents[3] / "data" / "samples" / "invoice.png").read_bytes()

pytestmark = pytest.mark.slow


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
    with server_process() as (process, url):
        assert ask(url, "What is the total?")
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
        assert len(answers) == 6 and len(set(answers)) == 1 and answers[0]
        assert process.wait(timeout=60) in (0, -signal.SIGTERM)
        with pytest.raises(urllib.error.URLError):
            health(url)


def test_it_listens_on_loopback_alone() -> None:
    with server_process() as (_, url):
        port = int(url.rsplit(":", 1)[1])
        with pytest.raises(ConnectionRefusedError):  # answers if all addresses were listened on
            socket.create_connection(("127.0.0.2", port), timeout=5)


def test_after_a_kill_it_starts_again() -> None:
    with server_process() as (process, url):
        before = ask(url, "What is the total?")
        thread = threading.Thread(target=lambda: _ask_in_vain(url))
        thread.start()
        while health(url)["writing"] == 0 and thread.is_alive():
            time.sleep(0.005)
        process.kill()
        process.wait()
        thread.join()
    with server_process() as (_, url):
        assert ask(url, "What is the total?") == before


def _ask_in_vain(url: str) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        ask(url, "Transcribe the text.")
