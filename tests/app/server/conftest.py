"""A real server on loopback over a small random model."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest
import uvicorn

from latentvlm.app.server.app import create_app
from latentvlm.app.server.config import ServerConfig
from latentvlm.vlm.api import load
from latentvlm.vlm.engine import Engine
from latentvlm.vlm.vlm import VLM


class Server:
    """What a test holds of one."""

    def __init__(self, vlm: VLM, engine: Engine, url: str) -> None:
        self.vlm, self.engine, self.url = vlm, engine, url

    def client(self, **options) -> openai.OpenAI:
        given = {"api_key": "none", "max_retries": 0, "timeout": 60.0, **options}
        return openai.OpenAI(base_url=self.url + "/v1", **given)


@contextlib.contextmanager
def serving(vlm: VLM, config: ServerConfig | None = None, **engine_settings) -> Iterator[Server]:
    config = config or ServerConfig()
    engine = vlm.new_engine(**engine_settings)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        settings = uvicorn.Config(create_app(vlm, config, engine), log_level="warning", ws="none")
        server = uvicorn.Server(settings)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.005)
            yield Server(vlm, engine, url)
        finally:
            server.should_exit = True
            thread.join(60)


@pytest.fixture(scope="session")
def small_vlm(tiny_folder: Path) -> VLM:
    return load(tiny_folder, device="cpu", dtype="float32")


@pytest.fixture(scope="session")
def server(small_vlm: VLM) -> Iterator[Server]:
    with serving(small_vlm) as server:
        yield server


@pytest.fixture(scope="session")
def serve(small_vlm: VLM) -> Callable:
    """`with serve(config, **engine_settings) as server`"""
    return lambda config=None, **settings: serving(small_vlm, config, **settings)


@pytest.fixture(scope="session")
def serve_of() -> Callable:
    """As `serve`, of another model: `with serve_of(vlm, config, **engine_settings) as server`"""
    return serving
