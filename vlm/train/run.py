"""`latentvlm train recipe.yaml`: read the recipe, make the model, run it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from ...errors import CheckpointError, ConfigError
from ..checkpoint import save_model
from ..model import VisionLanguageModel
from .architecture import given_tokenizer, model_config
from .loop import Callbacks, Resume, RunReport, train
from .progress import Progress
from .recipe import Recipe, read_recipe
from .setup import make_processor, make_trainee
from .sources import check_folders
from .state import checkpoints, load_weights, newest_weights
from .tasks import Trainee
from .teacher import check_teacher

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
    export: bool = True,
) -> RunReport:
    """Run a recipe file, or the recipe of that name that ships with the package.

    A run that reaches its end writes the model into the folder `model` of its output.

    Args:
        path: a YAML file, or `default-cpu` or `default`.
        max_minutes: stop with a checkpoint after this time.
        resume: see `loop.train`.
        threads: of the CPU.
        device: `cpu`, `cuda`, ...; `None` takes a GPU if there is one.
        show: progress on standard error.
        export: whether to write the model at the end.

    Raises:
        ConfigError: the recipe is wrong; raised before anything starts.
        DataError: a folder it reads has no shards; likewise.
        CheckpointError: there is no teacher that it names; likewise.
    """
    recipe = find_recipe(path)
    check_folders(recipe)
    check_teachers(recipe)
    if threads is not None:
        torch.set_num_threads(threads)
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    trainee = make_trainee(recipe)
    report = train(
        recipe,
        trainee,
        callbacks=callbacks,
        max_minutes=max_minutes,
        resume=resume,
        device=device,
        progress=Progress(visible=show),
    )
    if report.finished and export and asks_questions(recipe):
        write_model(recipe, trainee.model, report.folder / "model")
    return report


def export_recipe(
    path: str | Path, folder: str | Path, *, mean_with: Sequence[str | Path] = ()
) -> Path:
    """Write the model of a run's newest checkpoint into a folder, without training.

    Args:
        mean_with: outputs of other runs of the same shapes, earlier legs for example; what is
            written is the mean of all their newest weights, often better than each
            (Wortsman et al., arXiv:2203.05482).

    Raises:
        CheckpointError: a run has no checkpoint yet, or its tensors do not fit.
    """
    recipe = find_recipe(path)
    found = checkpoints(Path(recipe.output) / "checkpoints")
    if not found:
        raise CheckpointError(f"{recipe.output} has no checkpoint yet; run `latentvlm train` first")
    trainee = make_trainee(recipe)
    load_weights(found[-1], trainee)
    average_in(trainee, [Path(run) for run in mean_with])
    write_model(recipe, trainee.model, Path(folder))
    return Path(folder)


@torch.no_grad()
def average_in(trainee: Trainee, runs: Sequence[Path]) -> None:
    """Make a trainee's floating-point tensors the mean of themselves and of other runs' newest."""
    own = trainee.state_dict()
    for count, run in enumerate(runs, start=2):
        others = newest_weights(run / "checkpoints")
        for name, tensor in own.items():
            if name not in others or others[name].shape != tensor.shape:
                raise CheckpointError(f"{run} has no {name} of shape {list(tensor.shape)}")
            if tensor.is_floating_point():
                tensor.lerp_(others[name].to(tensor.dtype), 1 / count)


def find_recipe(path: str | Path) -> Recipe:
    """Read the shipped recipe of that name, or a recipe file."""
    shipped = {each.stem: each for each in sorted(RECIPES.glob("*.yaml"))}
    if str(path) not in shipped and not Path(path).is_file():
        raise ConfigError(
            f"There is no recipe {path}; give a YAML file, or one of {', '.join(shipped)}."
        )
    return read_recipe(shipped.get(str(path), path))


def check_teachers(recipe: Recipe) -> None:
    """See that every teacher is there and fits the student, before anything starts."""
    for stage in recipe.stages:
        if stage.distill is not None:
            check_teacher(stage.distill, model_config(recipe), given_tokenizer(recipe))


def asks_questions(recipe: Recipe) -> bool:
    """Whether a stage trains more than the tower."""
    return any(stage.task != "tower" for stage in recipe.stages)


def write_model(recipe: Recipe, model: VisionLanguageModel, folder: Path) -> None:
    """Write weights in bfloat16, configuration, tokenizer and processor files."""
    processor = make_processor(recipe, model.config)
    save_model(model, folder, files_from=processor, dtype=torch.bfloat16)
