"""The page, and where it listens: without analytics, share links or anything from elsewhere."""

import os
import shutil
import signal
import sys
import tempfile
import threading
from pathlib import Path

# Read as gradio is imported: it sends nothing anywhere.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio as gr  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402

from ...errors import InputError  # noqa: E402
from ..output import show_values  # noqa: E402
from .ask_tab import AskTab  # noqa: E402
from .config import DemoConfig  # noqa: E402
from .examples import write_examples  # noqa: E402
from .extract_tab import ExtractTab  # noqa: E402
from .look import STYLE, theme  # noqa: E402
from .models import Models  # noqa: E402
from .own_origin import OwnOriginOnly  # noqa: E402
from .running import Running  # noqa: E402

_HEAD = '<meta name="color-scheme" content="light dark">'
_TITLE = "# LatentVLM\nAsk pictures, PDFs and videos, and see what the model saw."


def build(models: Models, folder: Path, *, max_waiting: int = 64, max_batch: int = 8) -> gr.Blocks:
    """The page; opens the first model.

    Args:
        folder: where examples and what visitors save are written.
    """
    first = models.get(models.names[0])
    running = Running()
    examples = write_examples(folder / "examples")
    with gr.Blocks(
        title="LatentVLM", analytics_enabled=False, fill_width=True, delete_cache=(3600, 24 * 3600)
    ) as page:
        with gr.Row():
            with gr.Column(scale=3, min_width=300):
                gr.Markdown(_TITLE, elem_id="title")
            with gr.Column(scale=2, min_width=300):
                name = gr.Dropdown(
                    models.names,
                    value=models.names[0],
                    label="Model",
                    interactive=len(models.names) > 1,
                    elem_id="model",
                )
        line = gr.Markdown(first.describe(), elem_id="model-line")
        with gr.Tab("Ask"):
            AskTab(models, running, name, line, first, folder=folder / "saved", examples=examples)
        with gr.Tab("Extract a table"):
            ExtractTab(models, running, name, folder=folder / "saved", examples=examples)

        def leave(request: gr.Request) -> None:
            visitor = request.session_hash or ""
            running.stop(visitor)
            if visitor:
                shutil.rmtree(folder / "saved" / visitor, ignore_errors=True)

        page.unload(leave)
    return page.queue(max_size=max_waiting, default_concurrency_limit=max_batch)


def open_page(page: gr.Blocks, config: DemoConfig) -> str:
    """Begin to listen, in threads of its own.

    Returns:
        Its address.

    Raises:
        InputError: the port is taken, or the host is not one of this machine's.
    """
    try:
        _, address, _ = page.launch(
            server_name=config.host,
            server_port=config.port or None,
            share=False,
            quiet=True,
            prevent_thread_lock=True,
            inline=False,
            auth=config.login,
            max_file_size=config.max_file_bytes,
            theme=theme(),
            css=STYLE,
            head=_HEAD,
            footer_links=[],
            run_history=False,
            enable_monitoring=False,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            show_error=True,
            app_kwargs={"middleware": [Middleware(OwnOriginOnly)]},
        )
    except OSError as error:
        raise InputError(
            f"The demo cannot listen on {config.host}:{config.port}: {error}. Give another --port."
        ) from error
    return address


def run_demo(models: Models, config: DemoConfig, *, as_json: bool = False) -> None:
    """Serve until SIGTERM or Ctrl-C; what visitors brought is deleted then."""
    folder = Path(tempfile.mkdtemp(prefix="latentvlm-demo-"))
    os.environ["GRADIO_TEMP_DIR"] = str(folder / "uploads")
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    try:
        page = build(models, folder, max_waiting=config.max_waiting, max_batch=config.max_batch)
        address = open_page(page, config)
        if as_json:
            show_values({"address": address})
        print(f"open {address} in a browser; Ctrl-C ends it", file=sys.stderr, flush=True)
        if not config.is_loopback and config.login is None:
            print(
                "note: whoever reaches this machine can use it; give --login NAME:PASSWORD",
                file=sys.stderr,
                flush=True,
            )
        ended.wait()
        page.close(verbose=False)
    finally:
        models.close()
        shutil.rmtree(folder, ignore_errors=True)
