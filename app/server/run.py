"""Listening: uvicorn, which on SIGTERM takes no more and lets those who wait have their answers."""

import socket
import sys

import uvicorn

from ...errors import InputError
from ...vlm.vlm import VLM
from ..output import show_values
from .app import create_app
from .config import ServerConfig

# Clients let go of a connection that nothing comes over, OpenAI's after 5 seconds. If the server
# were as quick, it could hang up on a request that is on its way.
KEEP_ALIVE_S = 75


def run_server(
    vlm: VLM, config: ServerConfig, *, max_batch: int, max_waiting: int, as_json: bool = False
) -> None:
    """Serves until SIGTERM or Ctrl-C.

    Raises:
        InputError: it cannot listen there.
    """
    engine = vlm.new_engine(max_batch=max_batch, max_waiting=max_waiting)
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((config.host, config.port))
    except OSError as error:
        raise InputError(
            f"The server cannot listen on {config.host}:{config.port}: {error}; give another "
            "--port."
        ) from error
    settings = uvicorn.Config(
        create_app(vlm, config, engine),
        log_level="warning",
        timeout_graceful_shutdown=max(1, int(config.drain_s)),
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    shown = f"[{config.host}]" if ":" in config.host else config.host
    address = f"http://{shown}:{listening.getsockname()[1]}/v1"
    if as_json:
        show_values({"address": address, "model": config.model_name})
    print(f"serving on {address}", file=sys.stderr, flush=True)
    with listening:
        uvicorn.Server(settings).run(sockets=[listening])
