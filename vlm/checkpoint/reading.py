"""The weights of a checkpoint, each read straight to where it stays."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ...errors import ConfigError
from ..ops import arena
from ..quantize.modules import put_packed, takes_packed
from ..quantize.packed import PackedWeight
from .contents import Contents
from .mapped_stack import StackMapper
from .names import is_expert_stack, stack_shape
from .quantized import Quantized, expanded, int8_stack, packed_weight
from .shards import ShardReader

SELECTION_BIAS = "gate.e_score_correction_bias"
_LARGE = 1 << 24  # bytes; less is not worth pages of 2 MiB


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """How weights are wanted.

    Attributes:
        device_of: where each goes, by its name of ours.
        dtype: their number format; as stored if None.
        quantized: as `load_model` takes it.
        reserved: places in memory that are there already, by name.
    """

    device_of: Callable[[str], torch.device]
    dtype: torch.dtype | None
    quantized: Quantized
    reserved: Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Weights:
    """What was read, by name of ours: plain tensors, and weights kept packed."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    packed: dict[str, PackedWeight] = field(default_factory=dict)

    def put_into(self, model: nn.Module) -> None:
        """Give them to a model on the meta device, which needs each of them."""
        tensors = dict(self.tensors)
        for name, weight in self.packed.items():
            put_packed(model, name, weight)
            tensors |= {f"{name}.{part}": buffer for part, buffer in weight.named_buffers()}
        model.load_state_dict(tensors, strict=True, assign=True)


def read_weights(
    contents: Contents, model: nn.Module, wishes: Wishes, *, tied: str | None
) -> Weights:
    """Every weight of a model on the meta device; all are checked before anything large is read.

    Args:
        tied: the name of a head that is the embeddings.

    Raises:
        CheckpointError: the folder does not fit the model.
        ConfigError: INT8 experts are asked for where there are none, or none to make them of.
    """
    reader, stored, quantized = contents.reader, contents.stored, wishes.quantized
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    contents.require_fit(wanted, tied=tied)
    read = Weights()
    usual, mapper = wishes.dtype or _stored_dtype(contents), StackMapper()
    for name, shape in wanted.items():
        found, device = contents.sources.get(name), wishes.device_of(name)
        if name == tied and not found:
            continue
        if not found:  # the identity where it is not stored
            identity = torch.ones if name.endswith("weight") else torch.zeros
            read.tensors[name] = identity(shape, dtype=usual, device=device)
            continue
        few_bits = {idx: stored[disk] for idx, disk in found.items() if disk in stored}
        if quantized == "experts-int8" and is_expert_stack(name):
            read.packed[name] = int8_stack(reader, found, few_bits, shape, device)
            continue
        if few_bits:
            weight = packed_weight(reader, few_bits, stack_shape(name, shape), device)
            if quantized == "packed" and takes_packed(model, name) and name != tied:
                read.packed[name] = weight
            else:
                read.tensors[name] = expanded(weight, usual).view(shape)
            continue
        first = reader.tensor(next(iter(found.values())))
        dtype = torch.float32 if name.endswith(SELECTION_BIAS) else wishes.dtype
        dtype = dtype or first.dtype
        stays = name not in wishes.reserved and (first.device, first.dtype) == (device, dtype)
        if stays and None in found:
            read.tensors[name] = first
            continue
        mapped = None
        if stays and is_expert_stack(name):
            mapped = _map_experts(reader, mapper, found, shape, dtype)
        if mapped is not None:
            read.tensors[name] = mapped
            continue
        whole = wishes.reserved.get(name)
        if whole is None:
            whole = _new(shape, dtype, device)
        stack = whole.view(stack_shape(name, shape))
        for idx, disk in found.items():
            arena.fill(whole if idx is None else stack[idx], reader.tensor(disk))
        read.tensors[name] = whole
    if quantized == "experts-int8" and not read.packed:
        raise ConfigError(f"{reader.folder} has no experts, so none can be made INT8.")
    return read


def _map_experts(
    reader: ShardReader,
    mapper: StackMapper,
    found: Mapping[int | None, str],
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


def _stored_dtype(contents: Contents) -> torch.dtype:
    """What most of a checkpoint is stored in: its embeddings' number format."""
    name = next(name for name in contents.sources if name.endswith("embeddings.weight"))
    return contents.reader.tensor(contents.sources[name][None]).dtype
