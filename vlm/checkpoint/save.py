"""Write a model as a checkpoint folder of its family, with the released names.

transformers opens the folder with no tensor missing and none unexpected but `mtp.*`, which
it always drops.
"""

import shutil
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...data.processor_files import write_json
from ...errors import ConfigError
from ..config import LanguageConfig
from ..language_model import LanguageModel
from ..model import VisionLanguageModel
from ..quantize.declared import QUANT_CONFIG_FILE
from ..quantize.packed import PackedWeight
from .families import family_of
from .names import Family
from .shards import MAX_SHARD_BYTES, write_shards

# What a checkpoint holds besides weights and config.json.
COMPANION_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "generation_config.json",
    "latentvlm.json",  # what the model was trained for
)

# Kept in float32, as in the releases: they are small, and exponentials are taken of them.
FLOAT32_NAMES = ("gate.e_score_correction_bias", "mixer.A_log", "mixer.D")


def save_model(
    model: VisionLanguageModel | LanguageModel,
    folder: str | Path,
    *,
    files_from: str | Path | None = None,
    dtype: torch.dtype | None = None,
    max_shard_bytes: int = MAX_SHARD_BYTES,
) -> None:
    """Write `config.json`, `generation_config.json` and the weights.

    Args:
        model: what to write.
        folder: where to; made if it is missing, an older checkpoint in it is replaced.
        files_from: a folder whose tokenizer, processor and generation files are copied
            along. Files that are in `folder` already stay there.
        dtype: number format of the weights; as they are if None. Selection biases, `A_log`
            and `D` are float32 in any case.
        max_shard_bytes: size at which a new file is begun.

    Raises:
        ConfigError: weights are packed, so what they were is not there to be written.
    """
    if any(isinstance(module, PackedWeight) for module in model.modules()):
        raise ConfigError(
            'The weights of this model are packed; open it with quantized="expand" to save it.'
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    family = family_of(model.config)
    values = family.write_config(model.config)
    language = model.language_model if isinstance(model, VisionLanguageModel) else model
    text = language.config
    stored = dtype or language.embeddings.weight.dtype
    write_json(folder / "config.json", {**values, "dtype": str(stored).removeprefix("torch.")})
    (folder / QUANT_CONFIG_FILE).unlink(missing_ok=True)  # of an older, quantized checkpoint
    tensors = _joined(_disk_tensors(model, family, dtype))
    write_shards(folder, tensors, max_shard_bytes=max_shard_bytes)
    if files_from is not None and Path(files_from).resolve() != folder.resolve():
        for name in COMPANION_FILES:
            if (Path(files_from) / name).is_file():
                shutil.copyfile(Path(files_from) / name, folder / name)
    if not (folder / "generation_config.json").is_file():
        write_json(folder / "generation_config.json", _generation_config(text))


def _disk_tensors(
    model: VisionLanguageModel | LanguageModel, family: Family, dtype: torch.dtype | None
) -> Iterator[tuple[str, Tensor]]:
    is_tied = (
        model.language_model if isinstance(model, VisionLanguageModel) else model
    ).config.tie_word_embeddings
    for name, tensor in model.state_dict().items():
        if is_tied and name.endswith("lm_head.weight"):
            continue
        kept = torch.float32 if name.endswith(FLOAT32_NAMES) else dtype or tensor.dtype
        for disk, value in family.spell(name, tensor):
            yield disk, value.to(kept)
    yield from family.constants(model.config).items()


def _joined(tensors: Iterable[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    """Neighbours of one name become one tensor, one over the other."""
    for name, group in groupby(tensors, key=lambda each: each[0]):
        parts = [tensor for _, tensor in group]
        yield name, parts[0] if len(parts) == 1 else torch.cat(parts, dim=-2)


def _generation_config(config: LanguageConfig) -> dict[str, Any]:
    eos = config.eos_token_id
    return {
        "bos_token_id": config.bos_token_id,
        "do_sample": False,
        "eos_token_id": list(eos) if isinstance(eos, tuple) else eos,
        "pad_token_id": config.pad_token_id,
    }
