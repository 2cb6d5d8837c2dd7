"""The teacher of a `distill` stage: any checkpoint that reads the same ids and the same patches."""

from __future__ import annotations

from pathlib import Path

import torch

from ...data.processor_files import read_json
from ...errors import CheckpointError, ConfigError
from ..checkpoint import load_config, load_model
from ..config import VisionLanguageConfig
from ..model import VisionLanguageModel
from ..skeleton import skeleton
from .distill_settings import Distillation
from .stored import StoredForm


def load_teacher(settings: Distillation, device: torch.device) -> VisionLanguageModel:
    """The teacher, ready to answer; its weights of few bits stay packed.

    Raises:
        CheckpointError: its folder is missing or damaged.
    """
    teacher = load_model(settings.folder, device=device, dtype=torch.float32)
    assert isinstance(teacher, VisionLanguageModel), "seen to by check_teacher"
    return teacher


def check_teacher(
    settings: Distillation, student: VisionLanguageConfig, tokenizer: Path | None
) -> None:
    """See that a teacher and a student understand each other, and that the export has a form.

    Args:
        tokenizer: the folder of the student's tokenizer; None if it is yet to be learnt.

    Raises:
        CheckpointError: there is no teacher.
        ConfigError: it has another vocabulary or other patches, or the recipe does not fit.
    """
    folder = settings.folder
    if not folder.is_dir():
        raise CheckpointError(
            f"There is no teacher {folder}: distill.teacher is a model folder, or default."
        )
    teacher = load_config(folder)
    if not isinstance(teacher, VisionLanguageConfig):
        raise ConfigError(f"The teacher {folder} has no tower, so it cannot read the pages.")
    _check_vocabulary(folder, teacher, student, tokenizer)
    theirs, ours = _patches(teacher), _patches(student)
    for what, value in ours.items():
        if theirs[what] != value:
            raise ConfigError(
                f"The teacher {folder} has {what} {theirs[what]} and the student {value}: they "
                "would not see the same page."
            )
    if settings.quantize is not None:
        model = skeleton(student)
        assert isinstance(model, VisionLanguageModel)
        StoredForm(model, settings.quantize.export_recipe(), settings.quantize.export_layout)


def _check_vocabulary(
    folder: Path, teacher: VisionLanguageConfig, student: VisionLanguageConfig, own: Path | None
) -> None:
    sizes = teacher.text.vocab_size, student.text.vocab_size
    if sizes[0] != sizes[1]:
        raise ConfigError(
            f"The teacher {folder} has a vocabulary of {sizes[0]} and the student one of "
            f"{sizes[1]}; a teacher must read and write the student's ids."
        )
    theirs = _vocabulary(folder)
    if own is None or (theirs is not None and _vocabulary(own) != theirs):
        raise ConfigError(
            f"The teacher {folder} has another tokenizer than the student; start with a model "
            "folder of the same one, or name the teacher as tokenizer.folder."
        )


def _vocabulary(folder: Path) -> dict[str, int] | None:
    """Tokens and their ids; None if the folder has no tokenizer."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        return None
    values = read_json(path)
    added = {each["content"]: each["id"] for each in values.get("added_tokens", ())}
    return {**values["model"]["vocab"], **added}


def _patches(config: VisionLanguageConfig) -> dict[str, object]:
    """What the patches and placeholders of a row are made by."""
    vision = config.vision
    return {
        "image_token_id": config.image_token_id,
        "a video token": config.video_placeholder_id,
        "patch_size": vision.patch_size,
        "image_mean": tuple(vision.image_mean),
        "image_std": tuple(vision.image_std),
        "frames a tubelet": config.frames_per_tubelet,
        "tiles": config.family == "NemotronH_Nano_VL_V2",
    }
