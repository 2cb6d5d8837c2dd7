"""Packed weights in the places of parameters: a product, the experts of a layer."""

import torch
from torch import Tensor, nn

from ..layers.moe import Experts
from ..ops.linear import Linear, linear
from .packed import PackedWeight

# Widened at once: on a CPU what stays in its cache, else enough to keep a GPU busy.
_CPU_ELEMENTS, _GPU_ELEMENTS = 1 << 20, 1 << 26


class PackedLinear(nn.Module):
    """`ops.linear.Linear` with a packed weight, widened to the input's number format."""

    def __init__(self, weight: PackedWeight, bias: Tensor | None = None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.weight = weight
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)

    def forward(self, input: Tensor) -> Tensor:
        return self._in_blocks(input, self.bias)

    def product(self, input: Tensor) -> Tensor:
        """Without the bias."""
        return self._in_blocks(input, None)

    def _in_blocks(self, input: Tensor, bias: Tensor | None) -> Tensor:
        limit = _CPU_ELEMENTS if input.device.type == "cpu" else _GPU_ELEMENTS
        step = max(1, limit // self.in_features)
        parts = []
        for start in range(0, self.out_features, step):
            rows = slice(start, min(start + step, self.out_features))
            weight = self.weight.matrix(rows=rows, dtype=input.dtype)
            parts.append(linear(input, weight, None if bias is None else bias[rows]))
        return torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]


def takes_packed(model: nn.Module, name: str) -> bool:
    """Whether the parameter of that name may be replaced by a packed weight."""
    owner, _, leaf = name.rpartition(".")
    module = model.get_submodule(owner)
    return isinstance(module, Experts) or (isinstance(module, Linear) and leaf == "weight")


def put_packed(model: nn.Module, name: str, weight: PackedWeight) -> None:
    """Replace the parameter of that name; `takes_packed` says whether one may."""
    owner, _, leaf = name.rpartition(".")
    module = model.get_submodule(owner)
    if isinstance(module, Experts):
        delattr(module, leaf)
        setattr(module, leaf, weight)
        return
    assert isinstance(module, Linear)
    model.set_submodule(owner, PackedLinear(weight, module.bias))
