"""`latentvlm train recipe.yaml`: read the recipe, make the model, run it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from .loop import Callbacks, Resume, RunReport, train
from .progress import Progress
from .recipe import read_recipe
from .setup import make_trainee

RECIPES = Path(__file__).parent / "recipes"


def run_recipe(
    path: str | Path,
    *,
    max_minutes: float | None = None,
    resume: Resume = "auto",
    threads: int | None = None,
    device: str | None = None,
    callbacks: Callbacks | None = None,
    show: bool = True,
) -> RunReport:
    """Run a recipe file, or the recipe of that name that ships with the package.

    Args:
        path: a YAML file, or `default-cpu` or `default`.
        max_minutes: stop with a checkpoint after this time.
        resume: see `loop.train`.
        threads: of the CPU.
        device: `cpu`, `cuda`, ...; `None` takes a GPU if there is one.
        show: progress on standard error.

    Raises:
        ConfigError: the recipe is wrong; raised before anything starts.
    """
    shipped = RECIPES / f"{path}.yaml"
    recipe = read_recipe(shipped if shipped.is_file() else path)
    if threads is not None:
        torch.set_num_threads(threads)
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return train(
        recipe,
        make_trainee(recipe),
        callbacks=callbacks,
        max_minutes=max_minutes,
        resume=resume,
        device=device,
        progress=Progress(visible=show),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Command line of `python -m latentvlm.vlm.train`; 3 says that the run is not finished."""
    parser = argparse.ArgumentParser(prog="latentvlm train", description="Run a training recipe.")
    parser.add_argument("recipe", help="a YAML file, or the name of a shipped recipe")
    parser.add_argument("--max-minutes", type=float, help="stop with a checkpoint after this time")
    parser.add_argument("--resume", choices=("auto", "none", "weights"), default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device")
    args = parser.parse_args(argv)
    report = run_recipe(
        args.recipe,
        max_minutes=args.max_minutes,
        resume=args.resume,
        threads=args.threads,
        device=args.device,
    )
    return 0 if report.finished else 3
