"""Weights of few bits on their way from a checkpoint into a model: packed, expanded, or INT8."""

from collections.abc import Iterator, Mapping
from typing import Literal, get_args

import torch
from torch import Tensor

from ...errors import CheckpointError, ConfigError
from ..quantize.int8 import quantize_int8
from ..quantize.packed import Int8Weight, PackedWeight
from .names import Family
from .shards import ShardReader
from .stored_weights import StoredWeight

Quantized = Literal["packed", "expand", "experts-int8"]

_JOINED = (".q_proj.weight", ".k_proj.weight", ".v_proj.weight")
Sources = Mapping[str, Mapping[int | None, str]]


def check_choice(quantized: str) -> None:
    """Raise a ConfigError unless it is one of `Quantized`."""
    if quantized not in get_args(Quantized):
        raise ConfigError(
            f"quantized is {quantized!r}; it must be one of {', '.join(get_args(Quantized))}."
        )


def packed_weight(
    reader: ShardReader,
    found: Mapping[int | None, StoredWeight],
    shape: tuple[int, ...],
    device: str | torch.device,
) -> PackedWeight:
    """A weight, or a stack filled expert by expert so that no expert is held twice."""
    first = next(iter(found.values()))
    if None in found:
        weight = first.packed(first.read(reader, device))
    else:
        stacks: dict[str, Tensor] = {}
        for expert, stored in found.items():
            for name, part in stored.read(reader, device).items():
                if name not in stacks:
                    stacks[name] = part.new_empty((shape[0], *part.shape))
                if stacks[name].shape[1:] != part.shape:
                    raise CheckpointError(
                        f"{stored.scale} is {list(part.shape)}, but of other experts of its layer "
                        f"{list(stacks[name].shape[1:])}; their groups must be of one size."
                    )
                stacks[name][expert] = part
        weight = first.packed(stacks)
    weight.spellings = {expert: stored.spelling(reader) for expert, stored in found.items()}
    return weight


def int8_stack(
    reader: ShardReader,
    found: Mapping[int | None, str],
    few_bits: Mapping[int | None, StoredWeight],
    shape: tuple[int, ...],
    device: str | torch.device,
) -> Int8Weight:
    """The experts of a layer in INT8, each quantized as it is read.

    Raises:
        ConfigError: they are stored in few bits already.
    """
    for stored in few_bits.values():
        raise ConfigError(
            f"experts-int8 is computed from experts in full precision, but {reader.folder} "
            f"stores {stored.name} in {stored.format}; open it packed."
        )
    codes = torch.empty(shape, dtype=torch.int8, device=device)
    scale = torch.empty((*shape[:-1], 1), device=device)
    whole = reader.tensor(found[None]) if None in found else None
    for expert in range(shape[0]):
        weight = reader.tensor(found[expert]) if whole is None else whole[expert]
        codes[expert], scale[expert] = quantize_int8(weight.to(device))
    return Int8Weight({"codes": codes, "scale": scale})


def packed_tensors(
    name: str, weight: PackedWeight, family: Family
) -> Iterator[tuple[str, Tensor, int | None]]:
    """What is written for a packed weight of that name of ours: as it was stored.

    Returns:
        Name on disk, tensor, and the dimension along which it is half of the tensor there.

    Raises:
        ConfigError: it came from no file, or from one whose names are not those of the family,
            so that what is declared of them would not hold.
    """
    if not weight.spellings:
        raise ConfigError(
            f"{name} was made {weight.format} when the model was opened, which no checkpoint "
            "holds; open the model without that to save it."
        )
    for expert, spelling in weight.spellings.items():
        wanted, found = family.disk_name(name, expert), spelling.parts["codes"].name
        if found.removesuffix("_packed") != wanted:
            raise ConfigError(
                f"{found} is called {wanted} in the checkpoints that are written here, but its "
                'quantization is declared under its name; open the model with quantized="expand" '
                "to save it."
            )
        buffers = dict(weight.named_buffers())
        if expert is not None:
            buffers = {part: buffer[expert] for part, buffer in buffers.items()}
        yield from spelling.tensors(buffers)


def expanded(weight: PackedWeight, dtype: torch.dtype) -> Tensor:
    """The whole weight in a number format, widened matrix by matrix."""
    if len(weight.shape) == 2:
        return weight.matrix(dtype=dtype)
    whole = torch.empty(weight.shape, dtype=dtype, device=weight.device)
    for expert in range(weight.shape[0]):
        whole[expert] = weight.matrix(expert, dtype=dtype)
    return whole


def unlike(reader: ShardReader, sources: Sources, stored: Mapping[str, StoredWeight]) -> list[str]:
    """Experts of one layer, and q, k and v of one, that are not stored alike, in words."""
    kinds: dict[str, dict[str, str]] = {}
    for name, found in sources.items():
        module, joined = name.rpartition(".")[0], name.endswith(_JOINED)
        if not joined and None in found:
            continue
        group = kinds.setdefault(module.rpartition(".")[0] if joined else module, {})
        for disk in found.values():
            few_bits = stored.get(disk)
            if few_bits is None:
                kind = "floats"
            else:
                kind = few_bits.format if joined else few_bits.kind(reader)
            group.setdefault(kind, disk)
    return [
        " and ".join(f"{disk} ({kind})" for kind, disk in sorted(group.items()))
        for group in kinds.values()
        if len(group) > 1
    ]
