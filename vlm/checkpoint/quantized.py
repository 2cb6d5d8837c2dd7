"""Weights of few bits on their way from a checkpoint into a model: packed, expanded, or INT8."""

from collections.abc import Mapping
from typing import Literal, get_args

import torch
from torch import Tensor

from ...errors import ConfigError
from ..quantize.int8 import quantize_int8
from ..quantize.packed import Int8Weight, PackedWeight
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
        return first.packed(first.read(reader, device))
    stacks: dict[str, Tensor] = {}
    for expert, stored in found.items():
        for name, part in stored.read(reader, device).items():
            if name not in stacks:
                stacks[name] = part.new_empty((shape[0], *part.shape))
            stacks[name][expert] = part
    return first.packed(stacks)


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
