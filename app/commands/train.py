"""`latentvlm train RECIPE`: run a training recipe, or go on with one."""

import enum
from typing import Annotated

import typer


class Resume(enum.StrEnum):
    auto = "auto"
    none = "none"
    weights = "weights"


def train(
    recipe: Annotated[
        str, typer.Argument(help="A YAML file, or a recipe of the package: default-cpu, default.")
    ],
    max_minutes: Annotated[
        float | None, typer.Option(help="Stop with a checkpoint after this time; exit code 3.")
    ] = None,
    resume: Annotated[
        Resume,
        typer.Option(help="Go on where the run was, start anew, or go on from its weights alone."),
    ] = Resume.auto,
    threads: Annotated[int | None, typer.Option(help="CPU threads (what torch takes).")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 (a GPU if any).")] = None,
    export: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Do not train; write the newest checkpoint's model."),
    ] = None,
) -> None:
    """Train a model by a recipe; the same command again goes on where it stopped."""
    from ...vlm.train.run import export_recipe, run_recipe

    if export is not None:
        export_recipe(recipe, export)
        return
    report = run_recipe(
        recipe, max_minutes=max_minutes, resume=resume.value, threads=threads, device=device
    )
    if not report.finished:
        raise typer.Exit(3)
