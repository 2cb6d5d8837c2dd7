"""Open a checkpoint folder as a model. Strict: every tensor has a place, every place a tensor."""

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...data.processor_files import read_json
from ...errors import CheckpointError, ConfigError
from ..config import LanguageConfig, VisionLanguageConfig
from ..language_model import LanguageModel
from ..model import VisionLanguageModel
from ..skeleton import skeleton
from .families import family_of, family_of_json
from .names import Family, Place, is_expert_stack, listed, stack_shape
from .shards import ShardReader

FLOATS = {"F64", "F32", "F16", "BF16"}
SELECTION_BIAS = "gate.e_score_correction_bias"


def load_config(
    folder: str | Path, *, strict_config: bool = False
) -> VisionLanguageConfig | LanguageConfig:
    """Read a folder's `config.json`.

    Raises:
        CheckpointError: the folder or the file is missing or unreadable.
        ConfigError: the family is unknown or a value not supported.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is not a folder; a checkpoint is one.")
    values = read_json(folder / "config.json")
    if (folder / "hf_quant_config.json").is_file():
        raise ConfigError(
            f"{folder} has hf_quant_config.json: quantized checkpoints cannot be read yet; "
            "use the BF16 release."
        )
    family = family_of_json(values, folder / "config.json")
    return family.complete(family.read_config(values, strict_config), values, folder)


def load_model(
    folder: str | Path,
    *,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    strict_config: bool = False,
) -> VisionLanguageModel | LanguageModel:
    """Open a checkpoint folder, ready to answer (evaluation mode).

    Args:
        folder: `config.json` and safetensors in the format of its family.
        device: where the weights go; the CPU if None.
        dtype: their number format; as stored if None. The routers' selection biases are
            float32 in any case.
        strict_config: raise on a key of `config.json` that nothing reads.

    Raises:
        CheckpointError: a file is missing or unreadable; a tensor is missing, unexpected
            or misshapen; the message names it.
        ConfigError: `config.json` asks for what is not supported.
    """
    config = load_config(folder, strict_config=strict_config)
    family = family_of(config)
    model = skeleton(config)
    text = model.language_model if isinstance(model, VisionLanguageModel) else model
    with ShardReader(folder) as reader:
        places = _places(reader, family)
        if not any(".mtp." in f".{place.name}" for place in places.values()):
            text.mtp = None  # transformers drops the draft head when it saves
        elif text.mtp is None:
            places = {n: place for n, place in places.items() if ".mtp." not in f".{place.name}"}
        prefix = "language_model." if text is not model else ""
        tied = f"{prefix}lm_head.weight" if text.config.tie_word_embeddings else None
        tensors = _read(
            reader, places, model, family, tied=tied, device=device or "cpu", dtype=dtype
        )
    if tied:
        tensors[tied] = tensors[f"{prefix}embeddings.weight"]
    model.load_state_dict(tensors, strict=True, assign=True)
    if tied:
        text.lm_head.weight = text.embeddings.weight
    return model.eval()


def _places(reader: ShardReader, family: Family) -> dict[str, Place]:
    """Disk name to place, for every tensor that is not left aside."""
    places: dict[str, Place] = {}
    unexpected = []
    sound = {name.partition(".")[0] for name in reader.files if family.is_sound(name)}
    if sound:
        warnings.warn(
            f"{reader.folder} holds parts that hear ({', '.join(sorted(sound))}); sound is not "
            "supported, so they are left aside and not written back.",
            stacklevel=3,
        )
    for name in reader.files:
        if family.is_left_aside(name):
            if family.must_be_ones(name) and not bool((reader.tensor(name) == 1).all()):
                raise CheckpointError(
                    f"{reader.folder} holds {name}, a layer scale other than one, which this "
                    "tower does not have."
                )
            continue
        place = family.place(name)
        if place is None:
            unexpected.append(name)
        else:
            places[name] = place
    if unexpected:
        raise CheckpointError(f"{reader.folder} holds unexpected tensors: {listed(unexpected)}.")
    return places


def _read(
    reader: ShardReader,
    places: dict[str, Place],
    model: nn.Module,
    family: Family,
    *,
    tied: str | None,
    device: str | torch.device,
    dtype: torch.dtype | None,
) -> dict[str, Tensor]:
    """Every tensor of the model, experts stacked, checked before anything large is read."""
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    sources: dict[str, dict[int | None, str]] = {}
    for disk, place in places.items():
        sources.setdefault(place.name, {}).setdefault(place.expert, disk)
    complaints = _complaints(reader, wanted, sources, family, tied)
    if complaints:
        raise CheckpointError(f"{reader.folder} does not fit its config.json: {complaints}.")
    tensors: dict[str, Tensor] = {}
    for name, shape in wanted.items():
        found = sources.get(name)
        if name == tied and not found:
            continue
        if not found:  # the identity where it is not stored
            fill = torch.ones if name.endswith("weight") else torch.zeros
            tensors[name] = fill(
                shape, dtype=dtype or _stored_dtype(reader, sources), device=device
            )
            continue
        kept = torch.float32 if name.endswith(SELECTION_BIAS) else dtype
        if None in found:
            tensors[name] = reader.tensor(found[None]).to(device=device, dtype=kept)
            continue
        first = reader.tensor(found[0])
        stack = torch.empty(stack_shape(name, shape), dtype=kept or first.dtype, device=device)
        for expert, disk in found.items():
            stack[expert].copy_(reader.tensor(disk))
        tensors[name] = stack.view(shape)
    return tensors


def _complaints(
    reader: ShardReader,
    wanted: dict[str, tuple[int, ...]],
    sources: dict[str, dict[int | None, str]],
    family: Family,
    tied: str | None,
) -> str:
    """What is missing, unexpected, misshapen or of no usable number format, in words."""
    missing, unexpected, misshapen, unreadable = [], [], [], []
    for name, found in sources.items():
        if name not in wanted:
            unexpected += found.values()
            continue
        shape = wanted[name]
        stacked = None not in found
        if stacked:
            shape = stack_shape(name, shape)
            absent = [idx for idx in range(shape[0]) if idx not in found]
            missing += [family.disk_name(name, idx) for idx in absent]
        for expert, disk in found.items():
            if expert is not None and expert >= shape[0]:
                unexpected.append(disk)
                continue
            expected = shape[1:] if stacked else shape
            if reader.shape(disk) != expected:
                misshapen.append(
                    f"{disk} is {list(reader.shape(disk))} but should be {list(expected)}"
                )
            if reader.dtype(disk) not in FLOATS:
                unreadable.append(f"{disk} is {reader.dtype(disk)}")
    for name in wanted:
        if name not in sources and name != tied and not family.may_be_absent(name):
            expert = 0 if is_expert_stack(name) else None
            missing.append(family.disk_name(name, expert))
    kinds: list[tuple[str, list[Any]]] = [
        ("missing", missing),
        ("unexpected", unexpected),
        ("misshapen", misshapen),
        ("quantized, which cannot be read yet", unreadable),
    ]
    return "; ".join(f"{kind}: {listed(names)}" for kind, names in kinds if names)


def _stored_dtype(reader: ShardReader, sources: dict[str, dict[int | None, str]]) -> torch.dtype:
    """What most of a checkpoint is stored in: its embeddings' number format."""
    name = next(name for name in sources if name.endswith("embeddings.weight"))
    return reader.tensor(sources[name][None]).dtype
