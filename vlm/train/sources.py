"""Where the records of a recipe come from: drawn as they are needed, or read from folders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from ...data.loader import ShardSource
from ...data.mixed_source import MixedSource
from ...data.producer import ShardFolder, ShardProducer
from ...data.shards import Record, ShardReader
from .plan import SyntheticPlan, record_texts
from .recipe import Recipe
from .stage import MixtureEntry, Stage


def check_folders(recipe: Recipe) -> None:
    """See that every folder of shards is there before anything starts.

    Raises:
        DataError: one holds no shard.
    """
    for stage in recipe.stages:
        for entry in stage.folders:
            ShardFolder(entry.shards)
        if stage.evaluation is not None and stage.evaluation.shards:
            ShardFolder(stage.evaluation.shards)


def stage_source(recipe: Recipe, stage: Stage, *, alone: bool = True) -> ShardSource:
    """The shards of a stage; those that are drawn are one source among its folders.

    Args:
        alone: nobody else reads the stage, so workers may draw ahead.
    """
    sources: list[ShardSource] = []
    weights: list[float] = []
    if stage.drawn:
        plan = SyntheticPlan(
            seed=recipe.seed,
            stage=stage.name,
            mixture=stage.drawn,
            documents_per_shard=recipe.data.documents_per_shard,
            distinct_shards=recipe.data.distinct_shards,
        )
        producer = ShardProducer(
            plan,
            Path(recipe.output) / "shards" / stage.name,
            workers=recipe.data.workers if alone else 0,
            ahead=recipe.data.ahead,
            keep=recipe.data.keep_shards,
            cpus=recipe.data.cpus or None,
        )
        sources.append(producer)
        weights.append(sum(entry.weight for entry in stage.drawn))
    for entry in stage.folders:
        sources.append(ShardFolder(entry.shards, epochs=None))
        weights.append(entry.weight)
    return sources[0] if len(sources) == 1 else MixedSource(sources, weights)


def tokenizer_texts(recipe: Recipe) -> Iterator[str]:
    """What the documents of stages that read say, for a tokenizer to learn from."""
    stages = [stage for stage in recipe.stages if stage.task != "tower"]
    drawn = tuple(
        replace(entry, weight=entry.weight / sum(e.weight for e in stage.data))
        for stage in stages
        for entry in stage.drawn
    )
    count = recipe.tokenizer.documents
    if drawn:
        plan = SyntheticPlan(
            seed=recipe.seed, stage="tokenizer", mixture=drawn, documents_per_shard=count
        )
        yield from plan.texts(0)
    for folder in dict.fromkeys(entry.shards for stage in stages for entry in stage.folders):
        for record in islice(_records(recipe, folder), count):
            yield from record_texts(record)


def held_out_records(recipe: Recipe, stage: Stage) -> Iterator[Record]:
    """The stage's held-out documents; the same ones in every leg."""
    evaluation = stage.evaluation
    if evaluation is None:
        return iter(())
    if evaluation.data is None:
        return islice(_records(recipe, evaluation.shards), evaluation.documents)
    plan = SyntheticPlan(
        seed=recipe.seed,
        stage=f"evaluation of {stage.name}",
        mixture=(MixtureEntry(config=evaluation.data),),
        documents_per_shard=evaluation.documents,
    )
    return plan.records(0)


def calibration_records(recipe: Recipe, stage: Stage, count: int) -> Iterator[Record]:
    """Documents like the stage's: drawn ones, and as many from its folders if it has any."""
    if stage.drawn:
        plan = SyntheticPlan(
            seed=recipe.seed,
            stage=f"calibration of {stage.name}",
            mixture=stage.drawn,
            documents_per_shard=count,
        )
        yield from plan.records(0)
    for entry in stage.folders:
        yield from islice(_records(recipe, entry.shards), count)


def _records(recipe: Recipe, folder: str) -> Iterator[Record]:
    reader = ShardReader(recipe.data.on_error)
    for path in ShardFolder(folder).paths:
        for _, record in reader.read(path):
            yield record
