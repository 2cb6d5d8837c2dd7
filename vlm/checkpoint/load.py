"""Open a checkpoint folder as a model. Strict: every tensor has a place, every place a tensor."""

import math
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...data.processor_files import read_json
from ...errors import CheckpointError, ConfigError
from ..config import LanguageConfig, VisionLanguageConfig
from ..language_model import LanguageModel
from ..model import VisionLanguageModel
from ..ops import arena
from ..quantize.declared import read_declared, without_declared
from ..quantize.modules import put_packed, takes_packed
from ..quantize.packed import PackedWeight
from ..skeleton import settle_constants, skeleton
from .families import family_of, family_of_json
from .json_keys import path_in_errors
from .kv_scales import is_kv_scale, put_kv_scales
from .mapped_stack import StackMapper
from .names import Family, Place, is_expert_stack, listed, stack_shape
from .quantized import Quantized, check_choice, expanded, int8_stack, packed_weight, unlike
from .shards import ShardReader
from .stored_weights import StoredWeight, find_stored_weights

FLOATS = {"F64", "F32", "F16", "BF16"}
_LARGE = 1 << 24  # bytes; less is not worth pages of 2 MiB
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
    values = without_declared(read_json(folder / "config.json"))
    path = folder / "config.json"
    family = family_of_json(values, path)
    with path_in_errors(path):
        config = family.read_config(values, strict_config)
    return family.complete(config, values, folder)


def load_model(
    folder: str | Path,
    *,
    device: str | torch.device | Callable[[str], torch.device] | None = None,
    dtype: torch.dtype | None = None,
    strict_config: bool = False,
    quantized: Quantized = "packed",
    kv_cache: str | None = None,
    for_decoding: bool = False,
) -> VisionLanguageModel | LanguageModel:
    """Open a checkpoint folder, ready to answer (evaluation mode).

    On a CPU, tensors that are stored in `dtype` are read from the file as they are used: they
    are shared between processes and take no memory of their own. The others go straight to
    where they stay, so nothing is ever held twice.

    Args:
        folder: `config.json` and safetensors in the format of its family.
        device: where the weights go; the CPU if None. Or where each goes by its name of ours,
            as `Placement.device_of` says; all of a layer must go to one device.
        dtype: their number format; as stored if None. The routers' selection biases are
            float32 in any case.
        strict_config: raise on a key of `config.json` that nothing reads.
        quantized: weights of few bits stay "packed" and are widened as they are used, or
            "expand" to `dtype` here; "experts-int8" makes the experts of a full-precision
            checkpoint INT8, and leaves the rest.
        kv_cache: "fp8" keeps keys and values in 8 bits, by the checkpoint's scales where it
            has them, else by 1; None keeps them in the model's number format.
        for_decoding: lay float32 weights out on a CPU as `prepare_for_decoding` does; not for
            a model that is to be trained or moved, and without effect on packed weights.

    Raises:
        CheckpointError: a file is missing or unreadable; a tensor is missing, unexpected
            or misshapen; the message names it.
        ConfigError: `config.json` asks for what is not supported.
    """
    check_choice(quantized)
    config = load_config(folder, strict_config=strict_config)
    declared = read_declared(folder)
    family = family_of(config)
    model = skeleton(config)
    text = model.language_model if isinstance(model, VisionLanguageModel) else model
    with ShardReader(folder) as reader:
        stored = find_stored_weights(reader, declared)
        places = places_of(reader, family, stored)
        if not any(".mtp." in f".{place.name}" for place in places.values()):
            text.mtp = None  # transformers drops the draft head when it saves
        elif text.mtp is None:
            places = {n: place for n, place in places.items() if ".mtp." not in f".{place.name}"}
        prefix = "language_model." if text is not model else ""
        tied = f"{prefix}lm_head.weight" if text.config.tie_word_embeddings else None
        if device is None or isinstance(device, str | torch.device):
            device = _always(torch.device(device or "cpu"))
        is_plain = not stored and quantized != "experts-int8"
        types = {device(name).type for name in model.state_dict()}
        laid_out = for_decoding and is_plain and (types, dtype) == ({"cpu"}, torch.float32)
        tensors, packed = _read(
            reader,
            places,
            stored,
            model,
            family,
            tied=tied,
            device_of=device,
            dtype=dtype,
            quantized=quantized,
            reserved=_reserve(model, text) if laid_out else {},
        )
        put_kv_scales(reader, family.place, dict(model.named_modules()).get)
    if tied:
        embeddings = tensors[f"{prefix}embeddings.weight"]
        if tied in tensors and not torch.equal(tensors[tied], embeddings):
            raise CheckpointError(
                f"{folder} says tie_word_embeddings but holds a {family.disk_name(tied, None)} "
                "other than its embeddings; set tie_word_embeddings to false in its config.json."
            )
        tensors[tied] = embeddings
    for name, weight in packed.items():
        put_packed(model, name, weight)
        tensors |= {f"{name}.{part}": buffer for part, buffer in weight.named_buffers()}
    model.load_state_dict(tensors, strict=True, assign=True)
    if isinstance(model, VisionLanguageModel):
        tower = model.vision_encoder
        settle_constants(tower, next(tower.parameters()).device)
    text.is_spread = len({tensor.device for tensor in tensors.values()}) > 1
    text.use_kv_cache(kv_cache, declared=declared and declared.kv_cache)
    if tied:
        text.lm_head.weight = text.embeddings.weight
    return model.eval()


def _always(device: torch.device) -> Callable[[str], torch.device]:
    return lambda name: device


def places_of(
    reader: ShardReader, family: Family, stored: dict[str, StoredWeight]
) -> dict[str, Place]:
    """Disk name to place, for every weight that is not left aside; scales have none of theirs."""
    places: dict[str, Place] = {}
    unexpected = []
    sound = {name.partition(".")[0] for name in reader.files if family.is_sound(name)}
    if sound:
        warnings.warn(
            f"{reader.folder} holds parts that hear ({', '.join(sorted(sound))}); sound is not "
            "supported, so they are left aside and not written back.",
            stacklevel=3,
        )
    parts = {name for weight in stored.values() for name in weight.names}
    for name in reader.files.keys() - parts:
        halves = family.halves(name)
        if halves is not None:
            reader.halve(name, halves)
    names = [name for name in reader.files if name not in parts and not is_kv_scale(name)]
    for name in [*names, *stored]:
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


def _reserve(model: nn.Module, text: LanguageModel) -> dict[str, Tensor]:
    """Where each weight that a decode step reads will lie, by name."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = text.weights_read_together()
    return {names[id(parameter)]: place for parameter, place in arena.places(groups)}


def _read(
    reader: ShardReader,
    places: dict[str, Place],
    stored: dict[str, StoredWeight],
    model: nn.Module,
    family: Family,
    *,
    tied: str | None,
    device_of: Callable[[str], torch.device],
    dtype: torch.dtype | None,
    quantized: Quantized,
    reserved: Mapping[str, Tensor],
) -> tuple[dict[str, Tensor], dict[str, PackedWeight]]:
    """Every tensor of the model and every weight that stays packed, experts stacked.

    All are checked before anything large is read.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    sources: dict[str, dict[int | None, str]] = {}
    for disk, place in places.items():
        sources.setdefault(place.name, {}).setdefault(place.expert, disk)
    found_wrong = complaints(reader, wanted, sources, stored, family, tied)
    if found_wrong:
        raise CheckpointError(f"{reader.folder} does not fit its config.json: {found_wrong}.")
    tensors: dict[str, Tensor] = {}
    packed: dict[str, PackedWeight] = {}
    usual, mapper = dtype or _stored_dtype(reader, sources), StackMapper()
    for name, shape in wanted.items():
        found, device = sources.get(name), device_of(name)
        if name == tied and not found:
            continue
        if not found:  # the identity where it is not stored
            identity = torch.ones if name.endswith("weight") else torch.zeros
            tensors[name] = identity(shape, dtype=usual, device=device)
            continue
        few_bits = {idx: stored[disk] for idx, disk in found.items() if disk in stored}
        if quantized == "experts-int8" and is_expert_stack(name):
            packed[name] = int8_stack(reader, found, few_bits, shape, device)
            continue
        if few_bits:
            weight = packed_weight(reader, few_bits, stack_shape(name, shape), device)
            if quantized == "packed" and takes_packed(model, name) and name != tied:
                packed[name] = weight
            else:
                tensors[name] = expanded(weight, usual).view(shape)
            continue
        first = reader.tensor(next(iter(found.values())))
        kept = (torch.float32 if name.endswith(SELECTION_BIAS) else dtype) or first.dtype
        if None in found and name not in reserved and (first.device, first.dtype) == (device, kept):
            tensors[name] = first
            continue
        mapped = None
        if is_expert_stack(name) and name not in reserved:
            alike = (first.device, first.dtype) == (device, kept)
            mapped = _map_experts(reader, mapper, found, shape, kept) if alike else None
        if mapped is not None:
            tensors[name] = mapped
            continue
        whole = reserved.get(name)
        if whole is None:
            whole = _new(shape, kept, device)
        stack = whole.view(stack_shape(name, shape))
        for idx, disk in found.items():
            arena.fill(whole if idx is None else stack[idx], reader.tensor(disk))
        tensors[name] = whole
    if quantized == "experts-int8" and not packed:
        raise ConfigError(f"{reader.folder} has no experts, so none can be made INT8.")
    return tensors, packed


def _map_experts(
    reader: ShardReader,
    mapper: StackMapper,
    found: dict[int | None, str],
    shape: tuple[int, ...],
    dtype: torch.dtype,
) -> Tensor | None:
    """A stack that stays in its files; None where it must be copied."""
    disks = [found[expert] for expert in range(shape[0])]
    extents = [reader.extent(disk) for disk in disks]
    like = {reader.dtype(disk) for disk in disks}
    made = None
    if len(like) == 1 and None not in extents:
        made = mapper.stack([extent for extent in extents if extent], shape, dtype)
    if made is None:
        return None
    stack, elsewhere = made
    for expert in elsewhere:
        stack[expert].copy_(reader.tensor(disks[expert]))
    return stack


def _new(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Unfilled, or zeros; large ones on a CPU in large pages."""
    size = math.prod(shape)
    if device.type != "cpu" or size * dtype.itemsize < _LARGE:
        return torch.empty(shape, dtype=dtype, device=device)
    return arena.allocate(size, dtype).view(shape)


def complaints(
    reader: ShardReader,
    wanted: dict[str, tuple[int, ...]],
    sources: dict[str, dict[int | None, str]],
    stored: dict[str, StoredWeight],
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
            if disk in stored:
                complaint = stored[disk].complaint(reader, expected)
                misshapen += [complaint] if complaint else []
                continue
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
        ("of a number format that cannot be read", unreadable),
        ("unlike, though they are used as one", unlike(reader, sources, stored)),
    ]
    return "; ".join(f"{kind}: {listed(names)}" for kind, names in kinds if names)


def _stored_dtype(reader: ShardReader, sources: dict[str, dict[int | None, str]]) -> torch.dtype:
    """What most of a checkpoint is stored in: its embeddings' number format."""
    name = next(name for name in sources if name.endswith("embeddings.weight"))
    return reader.tensor(sources[name][None]).dtype
