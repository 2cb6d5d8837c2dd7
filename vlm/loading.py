"""What `load()` reads beside the tensors: text files, end tokens, number format."""

from pathlib import Path

import torch

from ..data.processor import Processor
from ..data.processor_files import read_json
from ..errors import CheckpointError
from .config import LanguageConfig, VisionLanguageConfig
from .device import dtype_named
from .language_model import LanguageModel
from .ops.linear import cpu_multiplies_bfloat16
from .prompt import Model


def read_stored_dtype(folder: Path) -> torch.dtype:
    """The number format a checkpoint says it is stored in; float32 if it says nothing.

    Raises:
        CheckpointError: its config.json is missing or unreadable.
    """
    values = read_json(folder / "config.json")
    nested = [values.get(key) for key in ("text_config", "llm_config")]
    for each in [values, *nested]:
        if isinstance(each, dict) and (name := each.get("dtype") or each.get("torch_dtype")):
            return dtype_named(name)
    return torch.float32


def read_processor(
    folder: Path, config: LanguageConfig | VisionLanguageConfig
) -> tuple[Processor | None, str]:
    """The processor, or why there is none: a folder may hold a model and no text files."""
    sees = isinstance(config, VisionLanguageConfig)
    text = config.text if isinstance(config, VisionLanguageConfig) else config
    try:
        processor = Processor.from_folder(
            folder,
            context_length=text.max_position_embeddings,
            reads_pictures=sees,
            video_token_id=config.video_placeholder_id if sees else None,
            frames_per_tubelet=config.frames_per_tubelet if sees else 1,
        )
    except CheckpointError as error:
        return None, str(error)
    return processor, ""


def read_end_ids(folder: Path, config: LanguageConfig, processor: Processor | None) -> set[int]:
    """Every token that ends an answer: of both configurations, and the end of a turn.

    Raises:
        CheckpointError: generation_config.json is unreadable or names no ids.
    """
    found = _as_ids(config.eos_token_id, "the text config")
    path = folder / "generation_config.json"
    if path.is_file():
        found |= _as_ids(read_json(path).get("eos_token_id"), str(path))
    if processor is not None:
        found.add(processor.turn_end_id)
    return found


def require_embeddings(processor: Processor, config: LanguageConfig, folder: Path) -> None:
    """Every token needs an embedding; embeddings without a token are fine.

    Raises:
        CheckpointError: the tokenizer's largest id is beyond the embeddings.
    """
    largest = max(processor.tokenizer.get_vocab().values(), default=0)
    if largest >= config.vocab_size:
        raise CheckpointError(
            f"{folder} has a tokenizer with ids up to {largest}, but the model has embeddings for "
            f"{config.vocab_size} only: they do not belong together."
        )


@torch.no_grad()
def widen_tower(model: Model) -> None:
    """Tower and projector to float32 where a CPU would be slow with bfloat16.

    They are a small part of a model's memory; the language model is widened as it is used.
    """
    if isinstance(model, LanguageModel) or model.device.type != "cpu":
        return
    if model.language_model.embeddings.weight.dtype != torch.bfloat16 or cpu_multiplies_bfloat16():
        return
    for part in (model.vision_encoder, model.vision_final_layernorm, model.projector):
        if part is not None:
            part.float()


def _as_ids(value: object, where: str) -> set[int]:
    ids = [value] if isinstance(value, int) else value
    if ids is None:
        return set()
    if not isinstance(ids, list | tuple) or not all(isinstance(each, int) for each in ids):
        raise CheckpointError(f"{where} has {value!r} for eos_token_id, which is no token id.")
    return set(ids)
