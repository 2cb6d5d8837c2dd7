"""Write a model as a checkpoint folder of its family, with the released names.

transformers opens the folder with no tensor missing and none unexpected but `mtp.*`, which
it always drops.
"""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...data.processor_files import write_json
from ..config import LanguageConfig
from ..language_model import LanguageModel
from ..model import VisionLanguageModel
from ..quantize.declared_files import QUANT_CONFIG_FILE, DeclaredFiles
from ..quantize.packed import PackedWeight
from .families import family_of
from .kv_scales import kv_scale_tensors
from .names import Family
from .quantized import packed_tensors
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

    Packed weights are written as they were stored, with what their checkpoint declares of them.

    Args:
        model: what to write.
        folder: where to; made if it is missing, an older checkpoint in it is replaced.
        files_from: a folder whose tokenizer, processor and generation files are copied
            along. Files that are in `folder` already stay there.
        dtype: number format of the weights that are not packed; as they are if None. Selection
            biases, `A_log` and `D` are float32 in any case.
        max_shard_bytes: size at which a new file is begun.

    Raises:
        ConfigError: weights are packed in a way that no file has.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    family = family_of(model.config)
    values = family.write_config(model.config)
    language = model.language_model if isinstance(model, VisionLanguageModel) else model
    text = language.config
    stored = dtype or language.embeddings.weight.dtype
    values = {**values, "dtype": str(stored).removeprefix("torch.")}
    declared = (language.is_packed and language.declared_files) or DeclaredFiles()
    tensors = _joined(_disk_tensors(model, family, dtype))
    write_shards(folder, tensors, max_shard_bytes=max_shard_bytes)
    write_json(folder / "config.json", declared.put_into(values))
    if declared.apart is None:  # nor stays that of an older checkpoint
        (folder / QUANT_CONFIG_FILE).unlink(missing_ok=True)
    else:
        write_json(folder / QUANT_CONFIG_FILE, declared.apart)
    if files_from is not None and Path(files_from).resolve() != folder.resolve():
        copy_companions(Path(files_from), folder)
    if not (folder / "generation_config.json").is_file():
        write_json(folder / "generation_config.json", _generation_config(text))


def copy_companions(source: Path, folder: Path) -> None:
    """Copy what a checkpoint holds besides weights and `config.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in COMPANION_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)


def _disk_tensors(
    model: VisionLanguageModel | LanguageModel, family: Family, dtype: torch.dtype | None
) -> Iterator[tuple[str, Tensor, int | None]]:
    """Name, tensor, and the dimension along which it is half of the tensor of that name."""
    is_tied = (
        model.language_model if isinstance(model, VisionLanguageModel) else model
    ).config.tie_word_embeddings
    packed = {name: each for name, each in model.named_modules() if isinstance(each, PackedWeight)}
    for name, tensor in model.state_dict().items():
        owner, _, leaf = name.rpartition(".")
        if owner in packed:
            if leaf == "codes":
                yield from packed_tensors(owner, packed[owner], family)
            continue
        if is_tied and name.endswith("lm_head.weight"):
            continue
        kept = torch.float32 if name.endswith(FLOAT32_NAMES) else dtype or tensor.dtype
        for disk, value in family.spell(name, tensor):
            yield disk, value.to(kept), -2 if family.halves(disk) else None
    for name, tensor in (
        *kv_scale_tensors(model, family.disk_name),
        *family.constants(model.config).items(),
    ):
        yield name, tensor, None


def _joined(
    tensors: Iterable[tuple[str, Tensor, int | None]],
) -> Iterator[tuple[str, Tensor]]:
    """Two halves of one name become one tensor."""
    halves: dict[str, Tensor] = {}
    for name, tensor, dim in tensors:
        if dim is None:
            yield name, tensor
        elif name in halves:
            yield name, torch.cat([halves.pop(name), tensor], dim)
        else:
            halves[name] = tensor
    assert not halves, list(halves)


def _generation_config(config: LanguageConfig) -> dict[str, Any]:
    eos = config.eos_token_id
    return {
        "bos_token_id": config.bos_token_id,
        "do_sample": False,
        "eos_token_id": list(eos) if isinstance(eos, tuple) else eos,
        "pad_token_id": config.pad_token_id,
    }
