"""How many bits a model's parameters take where it is."""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from .packed import PackedWeight

DTYPE_NAMES = {"float32": "F32", "bfloat16": "BF16", "float16": "F16", "float64": "F64"}


@dataclass(frozen=True, kw_only=True)
class TensorBits:
    """One weight, however many tensors it is kept in.

    Attributes:
        name: of the weight as if it were not packed.
        format: "F32", "BF16", "FP8", "NVFP4", "INT8", ...
        num_parameters: numbers that it stands for.
        num_bytes: what it takes, scales included.
    """

    name: str
    format: str
    num_parameters: int
    num_bytes: int

    @property
    def bits_per_parameter(self) -> float:
        return 8 * self.num_bytes / self.num_parameters


def bits_in_memory(model: nn.Module) -> list[TensorBits]:
    """Every parameter and packed weight of a model; a tied one once."""
    found = []
    for name, module in model.named_modules():
        if isinstance(module, PackedWeight):
            found.append(
                TensorBits(
                    name=name,
                    format=module.format,
                    num_parameters=module.shape.numel(),
                    num_bytes=module.num_bytes,
                )
            )
    for name, tensor in model.named_parameters():
        kind = str(tensor.dtype).removeprefix("torch.")
        found.append(
            TensorBits(
                name=name,
                format=DTYPE_NAMES.get(kind, kind),
                num_parameters=tensor.numel(),
                num_bytes=tensor.nbytes,
            )
        )
    return found


def num_parameters(model: nn.Module) -> int:
    """Parameters of a model, packed ones as many as they stand for."""
    return sum(each.num_parameters for each in bits_in_memory(model))


def bits_per_parameter(tensors: Iterable[TensorBits]) -> float:
    """The average over some weights; 0 if there are none."""
    tensors = list(tensors)
    total = sum(each.num_parameters for each in tensors)
    return 8 * sum(each.num_bytes for each in tensors) / total if total else 0.0
