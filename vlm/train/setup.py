"""From the values of a recipe to the objects of a stage: model, examples, task, held-out rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from ...data.packing import Batch, Example, Packer, pack
from ...data.shards import Record
from ...errors import ConfigError
from ...token_reduction.resolution import DynamicResolution
from ..config import VisionLanguageConfig
from ..model import VisionLanguageModel
from ..presets import preset
from .examples import TowerExamples
from .plan import SyntheticPlan
from .recipe import MixtureEntry, Recipe, Stage
from .tasks import Task, TowerTask, Trainee


def model_config(recipe: Recipe) -> VisionLanguageConfig:
    """The preset's architecture with the recipe's vocabulary."""
    config = preset(recipe.preset)
    if not isinstance(config, VisionLanguageConfig):
        raise ConfigError(f"preset {recipe.preset!r} is a language model; choose one with a tower")
    return replace(config, text=replace(config.text, vocab_size=recipe.tokenizer.vocab_size))


def make_trainee(recipe: Recipe) -> Trainee:
    """The model at its random start, a function of the recipe's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return Trainee(VisionLanguageModel(model_config(recipe)))


def resolution(recipe: Recipe, config: VisionLanguageConfig) -> DynamicResolution:
    """The rule for grids that training and the saved processor share."""
    return DynamicResolution(
        patch_size=config.vision.patch_size,
        merge_size=config.merge_size,
        min_num_patches=recipe.resolution.min_num_patches,
        max_num_patches=recipe.resolution.max_num_patches,
        max_model_len=config.text.max_position_embeddings,
    )


def make_examples(
    recipe: Recipe, stage: Stage, config: VisionLanguageConfig, tokenizer_folder: Path | None
) -> Callable[[Record], Example | None]:
    """What turns the stage's records into examples."""
    if stage.task == "tower":
        return TowerExamples(config.vision, resolution(recipe, config))
    raise ConfigError(f"stage {stage.name!r}: task {stage.task!r} needs a tokenizer")


def make_task(trainee: Trainee, stage: Stage) -> Task:
    """What the stage learns."""
    return TowerTask(trainee, stage)


def held_out_batches(
    recipe: Recipe, stage: Stage, examples: Callable[[Record], Example | None]
) -> list[Batch]:
    """The stage's held-out documents, packed; the same ones in every leg."""
    if stage.evaluation is None:
        return []
    plan = SyntheticPlan(
        seed=recipe.seed,
        stage=f"evaluation of {stage.name}",
        mixture=(MixtureEntry(config=stage.evaluation.data),),
        documents_per_shard=stage.evaluation.documents,
    )
    packer = Packer(replace(stage.rows, open_rows=1))
    rows = []
    for record in plan.records(0):
        example = examples(record)
        if example is not None and packer.fits_alone(example):
            rows.append(packer.add(None, example))
    rows.append(packer.take())
    return [pack([example for _, example in row]) for row in rows if row]
