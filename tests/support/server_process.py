"""`latentvlm serve` as a process of its own on loopback."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

_START = "import sys; from latentvlm.app.cli import main; main(sys.argv[1:])"


@contextmanager
def server_process(*options: object) -> Iterator[tuple[subprocess.Popen, str]]:
    """The process, once it answers, and its address; it is killed at the end."""
    command = [sys.executable, "-c", _START, "serve", "--port", "0", *map(str, options)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        told = ""
        while "serving on " not in told:
            told = process.stderr.readline()
            assert told, f"the server ended with {process.wait()}"
        url = told.split("serving on ")[1].strip().removesuffix("/v1")
        while True:
            try:
                health(url)
                break
            except urllib.error.URLError:
                assert process.poll() is None, "the server ended"
                time.sleep(0.1)
        yield process, url
    finally:
        process.kill()
        process.communicate()


def health(url: str) -> dict:
    with urllib.request.urlopen(f"{url}/health", timeout=60) as answer:
        return json.load(answer)
