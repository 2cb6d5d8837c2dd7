"""Listening: uvicorn, which on SIGTERM takes no more and lets those who wait have their answers."""

import socket
import sys

import uvicorn

from ...vlm.vlm import VLM
from .app import create_app
from .config import ServerConfig


def run_server(vlm: VLM, config: ServerConfig, *, max_batch: int, max_waiting: int) -> None:
    """Serves until SIGTERM or Ctrl-C."""
    engine = vlm.new_engine(max_batch=max_batch, max_waiting=max_waiting)
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((config.host, config.port))
    settings = uvicorn.Config(
        create_app(vlm, config, engine),
        log_level="warning",
        timeout_graceful_shutdown=max(1, int(config.drain_s)),
    )
    shown = f"[{config.host}]" if ":" in config.host else config.host
    print(f"serving on http://{shown}:{listening.getsockname()[1]}/v1", file=sys.stderr, flush=True)
    uvicorn.Server(settings).run(sockets=[listening])
