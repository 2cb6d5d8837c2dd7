"""From the values of a recipe to the objects of a stage: model, examples, task, held-out rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch

from ...data.image_transform import ImageConfig, ImageTransform
from ...data.loader import Loader
from ...data.packed_batch import Batch, Example
from ...data.parallel_loader import ParallelLoader
from ...data.processor import Processor
from ...data.processor_files import write_processor_files
from ...data.shards import Record
from ...data.tokenizer import make_room_for_videos, train_tokenizer
from ...token_reduction.evs import EVSRates
from ...vision_encoder.radio import RadioEncoder
from ..checkpoint import load_model
from ..checkpoint.save import copy_companions
from ..config import VisionLanguageConfig
from ..model import VisionLanguageModel
from .architecture import given_tokenizer, model_config, model_folder, start_folder
from .distill import DistillTask
from .examples import AnswerExamples, TowerExamples
from .init import start_tower, start_tubelets
from .input_ranges import InputRanges
from .optimizer import part_of
from .precision import Precision
from .recipe import Recipe
from .row import rows_of
from .sources import calibration_records, held_out_records, stage_source, tokenizer_texts
from .stage import Stage
from .state import load_parts, newest_weights
from .tasks import AnswersTask, Task, TowerTask, Trainee
from .teacher import load_teacher


def make_trainee(recipe: Recipe) -> Trainee:
    """The model at its random start, a function of the recipe's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = VisionLanguageModel(model_config(recipe))
        if isinstance(model.vision_encoder, RadioEncoder):
            start_tower(model.vision_encoder)
        return Trainee(model, InputRanges(model) if recipe.rounds_inputs else None)


def warm_start(recipe: Recipe, trainee: Trainee) -> None:
    """Take the parts that the recipe starts with from the runs or model folders that have them.

    Raises:
        CheckpointError: there are no such weights, or their tensors have other shapes.
    """
    for start in recipe.start:
        parts: set[str] = set(start.parts)
        if start.run:
            tensors = newest_weights(Path(start.run) / "checkpoints")
            parts |= {"char_head"} if "vision_encoder" in parts else set()
        else:
            if recipe.preset == "start" and "vision_encoder" in parts:
                parts |= {"frozen"}  # the whole model, also what no stage trains
            model = load_model(model_folder(start), dtype=torch.float32)
            tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
        load_parts(tensors, trainee, part_of, parts, source=start.run or start.model)
        tower = trainee.model.vision_encoder
        if start.new_tubelets and "vision_encoder" in parts and isinstance(tower, RadioEncoder):
            start_tubelets(tower)


def image_config(recipe: Recipe, config: VisionLanguageConfig) -> ImageConfig:
    """The image settings that training and the saved processor share."""
    return ImageConfig(
        patch_size=config.vision.patch_size,
        downsample_ratio=config.downsample_ratio,
        min_num_patches=recipe.resolution.min_num_patches,
        max_num_patches=recipe.resolution.max_num_patches,
        max_model_len=config.text.max_position_embeddings,
        image_mean=config.vision.image_mean,
        image_std=config.vision.image_std,
    )


def make_processor(recipe: Recipe, config: VisionLanguageConfig) -> Path:
    """The folder of the run's tokenizer and processor files; made if it is not there.

    The tokenizer is learnt from what the documents of the recipe say, a function of the recipe;
    unless the recipe names one, or starts with a language model, which knows its own ids only.
    """
    folder = Path(recipe.output) / "processor"
    if (folder / "processor_config.json").is_file():
        return folder
    kept = start_folder(recipe)
    if kept is not None:
        copy_companions(kept, folder)
        return folder
    settings = recipe.tokenizer
    given = given_tokenizer(recipe)
    source = given or folder
    if given is None:
        train_tokenizer(
            tokenizer_texts(recipe),
            vocab_size=settings.vocab_size,
            folder=folder,
            max_length=config.text.max_position_embeddings,
        )
    write_processor_files(
        folder,
        tokenizer_folder=source,
        image_config=image_config(recipe, config),
        video_temporal_patch_size=config.vision.video_temporal_patch_size or 2,
        video_num_patches=recipe.resolution.video_num_patches,
    )
    if recipe.videos:
        make_room_for_videos(folder)
    return folder


def make_examples(
    recipe: Recipe, stage: Stage, config: VisionLanguageConfig
) -> Callable[[Record], Example | None]:
    """What turns the stage's records into examples."""
    if stage.task == "tower":
        return TowerExamples(ImageTransform(image_config(recipe, config)))
    processor = Processor.from_folder(
        make_processor(recipe, config),
        video_token_id=config.video_placeholder_id,
        frames_per_tubelet=config.frames_per_tubelet,
    )
    return AnswerExamples(processor, questions=stage.questions, char_targets=stage.losses.char > 0)


def make_loader(
    recipe: Recipe,
    stage: Stage,
    config: VisionLanguageConfig,
    stripe: tuple[int, int] | None = None,
) -> Loader:
    """The loader of a stage, or of one of its stripes: those draw their shards themselves."""
    return Loader(
        stage_source(recipe, stage, alone=stripe is None),
        make_examples(recipe, stage, config),
        limits=stage.rows,
        evs=stage.evs,
        on_error=recipe.data.on_error,
        stripe=stripe or (0, 1),
    )


def make_rows(
    recipe: Recipe, stage: Stage, config: VisionLanguageConfig
) -> Loader | ParallelLoader:
    """The rows of a stage, made in this process or in several others."""
    if not recipe.data.loaders:
        return make_loader(recipe, stage, config)
    return ParallelLoader(
        partial(make_loader, recipe, stage, config), processes=recipe.data.loaders
    )


def make_task(
    recipe: Recipe, trainee: Trainee, stage: Stage, precision: Precision, device: torch.device
) -> Task:
    """What the stage learns."""
    if stage.distill is None:
        kind = TowerTask if stage.task == "tower" else AnswersTask
        return kind(trainee, stage, precision)
    return DistillTask(
        trainee,
        stage,
        precision,
        teacher=load_teacher(stage.distill, device),
        calibration=_calibration_batches(recipe, stage, trainee.model.config, device),
    )


def _calibration_batches(
    recipe: Recipe, stage: Stage, config: VisionLanguageConfig, device: torch.device
) -> Iterator[Batch]:
    """Documents like the stage's own that the scales of activations are made for."""
    settings = stage.distill and stage.distill.quantize
    if settings is not None:
        examples = make_examples(recipe, stage, config)
        found = map(examples, calibration_records(recipe, stage, settings.calibration))
        for batch in rows_of(found, stage.rows):
            yield batch.to(device)


def held_out_batches(
    recipe: Recipe, stage: Stage, examples: Callable[[Record], Example | None]
) -> list[Batch]:
    """The stage's held-out documents, packed; the same ones in every leg."""
    rate = stage.evaluation.evs_rate if stage.evaluation else 0.0
    found = map(examples, held_out_records(recipe, stage))
    return list(rows_of(found, stage.rows, EVSRates(rates=(rate,), floor=stage.evs.floor)))
