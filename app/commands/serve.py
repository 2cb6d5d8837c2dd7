"""`latentvlm serve`: OpenAI's chat-completions and responses shapes over a model."""

import os
from pathlib import Path
from typing import Annotated

import typer

from ...errors import MissingDependencyError
from ..options import ModelOptions, expand_options


@expand_options
def serve(
    model: ModelOptions,
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8000,
    api_key: Annotated[
        list[str] | None,
        typer.Option(
            help="Who gives it is served; may be given again. Also LATENTVLM_API_KEYS, with commas."
        ),
    ] = None,
    allow_folder: Annotated[
        list[Path] | None, typer.Option(help="Requests may name files below it.")
    ] = None,
    allow_urls: Annotated[
        bool, typer.Option("--allow-urls", help="Requests may name public http(s) addresses.")
    ] = False,
    name: Annotated[str, typer.Option(help="What the model is called.")] = "latentvlm",
    max_batch: Annotated[int, typer.Option(help="Answers written at once.")] = 16,
    max_waiting: Annotated[int, typer.Option(help="Requests that wait; beyond it: 429.")] = 64,
    max_answer_tokens: Annotated[int, typer.Option(help="Longest answer in tokens.")] = 4096,
    max_prompt_tokens: Annotated[
        int | None, typer.Option(help="Longest prompt in tokens (the model's context).")
    ] = None,
    max_body_mb: Annotated[int, typer.Option(help="Largest request, media included.")] = 128,
    max_file_mb: Annotated[int, typer.Option(help="Largest file of a request.")] = 64,
    max_pages: Annotated[int, typer.Option(help="Pages of all documents of a request.")] = 100,
    max_megapixels: Annotated[int, typer.Option(help="Of one page; five times that of all.")] = 80,
    max_frames: Annotated[int, typer.Option(help="Frames of one video.")] = 256,
    max_video_s: Annotated[float, typer.Option(help="Seconds of one video.")] = 14400.0,
    request_s: Annotated[float, typer.Option(help="Longest request in seconds.")] = 600.0,
    drain_s: Annotated[float, typer.Option(help="Seconds to finish in after SIGTERM.")] = 30.0,
    json: Annotated[
        bool, typer.Option("--json", help="Print the address as one JSON object.")
    ] = False,
) -> None:
    """Serve a model in OpenAI's shapes: point a client at the address that it prints.

    Example: latentvlm serve --port 8000
    """
    try:
        from ..server.run import run_server
    except ImportError as error:
        raise MissingDependencyError(
            f"The server needs {error.name}; install it with: pip install 'latentvlm[serve]'"
        ) from error
    from ..server.config import ServerConfig

    kept = [key for key in os.environ.get("LATENTVLM_API_KEYS", "").split(",") if key]
    config = ServerConfig(
        host=host,
        port=port,
        api_keys=(*(api_key or ()), *kept),
        folders=tuple(allow_folder or ()),
        allow_urls=allow_urls,
        model_name=name,
        max_body_bytes=max_body_mb * 2**20,
        max_file_bytes=max_file_mb * 2**20,
        max_pages=max_pages,
        max_pixels=max_megapixels * 10**6,
        max_frames=max_frames,
        max_video_s=max_video_s,
        max_prompt_tokens=max_prompt_tokens,
        max_answer_tokens=max_answer_tokens,
        request_s=request_s,
        drain_s=drain_s,
    )
    run_server(model.load(), config, max_batch=max_batch, max_waiting=max_waiting, as_json=json)
