"""Packed weights in the places of parameters: a product, the experts of a layer."""

from torch import Tensor, nn

from ..layers.moe import Experts
from ..ops.linear import Linear
from ..ops.quantized import packed_linear
from .packed import PackedWeight


class PackedLinear(nn.Module):
    """`ops.linear.Linear` with a packed weight."""

    def __init__(self, weight: PackedWeight, bias: Tensor | None = None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.weight = weight
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)

    def forward(self, input: Tensor) -> Tensor:
        return packed_linear(input, self.weight, self.bias)

    def product(self, input: Tensor) -> Tensor:
        """Without the bias."""
        return packed_linear(input, self.weight)


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
