"""`latentvlm train RECIPE`: run a training recipe, or go on with one."""

import dataclasses
import enum
from typing import Annotated

import typer

from ..output import show_values


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
    mean_with: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RUN",
            help="With --export: the mean with the newest weights of another run's output; "
            "may be given again.",
        ),
    ] = None,
    ask: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="A folder with questions.csv, asked at each held-out evaluation; the score goes "
            "into the log.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="At the end, print one JSON object.")
    ] = False,
) -> None:
    """Train a model by a recipe; the same command again goes on where it stopped.

    Example: latentvlm train own.yaml --max-minutes 30
    """
    from ...errors import ConfigError
    from ...vlm.train.run import export_recipe, run_recipe

    if export is not None:
        export_recipe(recipe, export, mean_with=mean_with or ())
        if as_json:
            show_values({"model": export})
        return
    if mean_with:
        raise ConfigError("--mean-with says what --export writes; give --export FOLDER with it.")
    callbacks = None
    if ask is not None:
        from ...eval.benchmarks import BENCHMARKS, load_benchmark
        from ...eval.during_training import TrainingQuestions
        from ...vlm.train.loop import Callbacks
        from ...vlm.train.run import find_recipe

        questions = load_benchmark(BENCHMARKS["folder"], ask)
        callbacks = Callbacks(evaluate=TrainingQuestions(find_recipe(recipe), questions))
    report = run_recipe(
        recipe,
        max_minutes=max_minutes,
        resume=resume.value,
        threads=threads,
        device=device,
        callbacks=callbacks,
    )
    if as_json:
        show_values(dataclasses.asdict(report) | {"folder": str(report.folder)})
    if report.interrupted:
        raise KeyboardInterrupt
    if not report.finished:
        raise typer.Exit(3)
