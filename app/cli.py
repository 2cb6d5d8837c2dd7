"""The command line. Each command is a file in `commands/`; torch is imported once one runs."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from ..errors import LatentVLMError
from .commands.ask import ask
from .commands.bench import bench
from .commands.chat import chat
from .commands.data import app as data_commands
from .commands.demo import demo
from .commands.distill import distill
from .commands.doctor import doctor
from .commands.eval import app as eval_commands
from .commands.explain import explain
from .commands.export import export, verify
from .commands.extract import extract
from .commands.inspect import inspect
from .commands.plan import plan
from .commands.serve import serve
from .commands.train import train

app = typer.Typer(
    help="Ask documents questions; train and measure the models that answer.",
    epilog="With --json, standard output holds JSON and nothing else. Exit codes: 0 done; 2 bad "
    "input, said in one sentence; 3 not as wanted (not proven, not finished, something left out); "
    "130 stopped by Ctrl-C; 1 anything unexpected (--debug shows where).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
STOPPED = 130  # what shells expect of Ctrl-C


def print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"latentvlm {version('latentvlm')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Print the version."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error came from (before the command).")
    ] = False,
) -> None:
    if debug:
        os.environ["LATENTVLM_TRACEBACK"] = "1"


# In the order in which help lists them.
PANELS = {
    "Ask": (ask, chat, extract, explain, demo, serve),
    "Look at a machine or a model": (doctor, inspect, plan),
    "Train and export": (train, distill, export, verify),
    "Measure": (bench,),
}
for panel, commands in PANELS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.add_typer(data_commands, name="data", rich_help_panel="Train and export")
app.add_typer(eval_commands, name="eval", rich_help_panel="Measure")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits: 0 done, 2 bad input (one sentence), 3 not as wanted, else 1.

    With `--debug`, or LATENTVLM_TRACEBACK=1 in the environment, an error shows where it came from.
    Ctrl-C ends with 130, as shells expect.
    """
    try:
        app(arguments)
    except (SystemExit, KeyboardInterrupt) as left:
        code = STOPPED if isinstance(left, KeyboardInterrupt) else left.code
        if code == STOPPED:  # typer says nothing
            begun = "\n" if sys.stderr.isatty() else ""  # after a line of progress
            print(f"{begun}Stopped by Ctrl-C.", file=sys.stderr)
        sys.exit(code)
    except Exception as error:
        if os.environ.get("LATENTVLM_TRACEBACK") == "1":
            raise
        if isinstance(error, LatentVLMError):
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)
        print(
            f"error: {type(error).__name__}: {error} "
            "(unexpected; latentvlm --debug COMMAND shows where it happened)",
            file=sys.stderr,
        )
        sys.exit(1)
