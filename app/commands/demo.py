"""`latentvlm demo`: a page in the browser that asks files and shows what the model saw."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from ...errors import ConfigError, MissingDependencyError
from ..options import ModelOptions, expand_options

PACKAGED = "latentvlm (in the package)"


@expand_options
def demo(
    model: ModelOptions,
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes the first free one from 7860 on.")] = 7860,
    also: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FOLDER|ID",
            help="Offer it too; opened when chosen; may be given again.",
        ),
    ] = None,
    login: Annotated[
        str | None,
        typer.Option(
            metavar="NAME:PASSWORD", envvar="LATENTVLM_DEMO_LOGIN", help="Ask visitors for it (no)."
        ),
    ] = None,
    max_file_mb: Annotated[int, typer.Option(help="Largest file of a visitor.")] = 2048,
    max_batch: Annotated[int, typer.Option(help="Answers written at once.")] = 8,
    json: Annotated[
        bool, typer.Option("--json", help="Print the address as one JSON object.")
    ] = False,
) -> None:
    """Open the demo, for this machine alone unless --host says otherwise.

    Example: latentvlm demo --port 7860
    """
    from ..demo.config import DemoConfig

    name, colon, password = (login or "").partition(":")
    if login is not None and not colon:
        raise ConfigError("--login must be NAME:PASSWORD.")
    config = DemoConfig(
        host=host,
        port=port,
        login=(name, password) if login is not None else None,
        max_file_bytes=max_file_mb * 2**20,
        max_batch=max_batch,
    )
    try:
        from ..demo.run import run_demo
    except ImportError as error:
        raise MissingDependencyError(
            f"The demo needs {error.name}; install it with: pip install 'latentvlm[demo]'"
        ) from error
    from ..demo.models import Models

    offered = list(dict.fromkeys([model.model, *(also or ()), None]))
    loaders = {label(each): dataclasses.replace(model, model=each).load for each in offered}
    run_demo(
        Models(loaders, max_batch=max_batch, max_waiting=config.max_waiting), config, as_json=json
    )


def label(model: str | None) -> str:
    """What the page calls a model: a hub id, or the name of its folder."""
    if model is None:
        return PACKAGED
    path = Path(model).expanduser()
    return path.resolve().name if path.is_dir() else model
