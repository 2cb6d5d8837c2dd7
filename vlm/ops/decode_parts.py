"""Parts that the layers' decode steps share: the norm of one row, products with neighbours.

Each is made once with the buffers it reads and writes, so that a step makes no tensors and no
views. Letters: S sequences, D hidden.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..quantize.packed import PackedWeight
from .arena import joined
from .quantized import put_product


class Stream:
    """The residual stream `x` `(S, D)` and its norm, in buffers that every layer uses in turn."""

    def __init__(self, like: Tensor, num_seqs: int) -> None:
        self.x = like.new_empty(num_seqs, like.shape[-1])
        self.normed = torch.empty_like(self.x)
        self.nothing = torch.zeros_like(self.x[0])

    def norm(self, weight: Tensor, eps: float) -> Callable[[], Tensor]:
        """A function that puts `x / rms(x) * weight` into the second buffer and returns it."""
        x_SD, out, inverse_rms = self.x, self.normed, InverseRms(eps, weight)

        def several() -> Tensor:
            return torch.mul(x_SD, weight, out=out).mul_(inverse_rms(x_SD))

        row, size, nothing = x_SD[0], x_SD.shape[1], self.nothing

        def one() -> Tensor:
            scale = (torch.dot(row, row).item() / size + eps) ** -0.5
            return torch.addcmul(nothing, x_SD, weight, value=scale, out=out)

        return one if x_SD.shape[0] == 1 and x_SD.device.type == "cpu" else several


class InverseRms:
    """`1 / sqrt(mean(x^2) + eps)` over the last dimension, kept.

    A tensor times a number costs a conversion of the number; `addcmul` takes one as it is.
    """

    def __init__(self, eps: float, like: Tensor) -> None:
        self.eps = like.new_full((), eps)

    def __call__(self, x: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        return torch.addcmul(self.eps, norm, norm, value=1 / x.shape[-1]).rsqrt_()


class Product:
    """`x @ weight.T` of a weight `(out, in)`, in float32: one call, or tiles of a packed one."""

    def __init__(self, weight: Tensor | PackedWeight) -> None:
        self.num_out = weight.shape[0]
        if isinstance(weight, PackedWeight):
            self.packed, self.matrix = weight, None
        else:
            self.packed, self.matrix = None, weight.t()

    def put(self, x: Tensor, out: Tensor) -> Tensor:
        """The product into `out`."""
        if self.matrix is not None:
            return torch.mm(x, self.matrix, out=out)
        assert self.packed is not None
        return put_product(x, self.packed, out)

    def put_sum(self, bias: Tensor, x: Tensor, out: Tensor) -> Tensor:
        """The product and a bias into `out`."""
        if self.matrix is not None:
            return torch.addmm(bias, x, self.matrix, out=out)
        return self.put(x, out).add_(bias)

    def add(self, x: Tensor, into: Tensor) -> Tensor:
        """The product added to `into`."""
        if self.matrix is not None:
            return into.addmm_(x, self.matrix)
        return into.add_(self.put(x, into.new_empty(into.shape)))


class Projection:
    """Products of one input with several weights `(out, D)`: one, if they are neighbours."""

    def __init__(self, weights: Sequence[Tensor | PackedWeight], row: Tensor) -> None:
        """`row` `(S, sum of out)` is where the results go, side by side."""
        sizes = [weight.shape[0] for weight in weights]
        together = _joined(weights, dim=0)
        self.row = row
        self.parts = row.split(sizes, dim=1)
        if together is not None:
            self.products = [(Product(together), row)]
        else:
            self.products = [
                (Product(w), part) for w, part in zip(weights, self.parts, strict=True)
            ]

    def __call__(self, x_SD: Tensor) -> None:
        for product, out in self.products:
            product.put(x_SD, out)


class Sum:
    """Adds products of several inputs, each with its weight `(D, in)`, to the residual stream."""

    def __init__(self, weights: Sequence[Tensor | PackedWeight], row: Tensor) -> None:
        """`row` `(S, sum of in)` holds the inputs side by side."""
        together = _joined(weights, dim=1)
        if together is not None:
            self.products = [(row, Product(together))]
        else:
            parts = row.split([weight.shape[1] for weight in weights], dim=1)
            products = [Product(weight) for weight in weights]
            self.products = list(zip(parts, products, strict=True))

    def __call__(self, x_SD: Tensor) -> None:
        for part, product in self.products:
            product.add(part, x_SD)


def _joined(weights: Sequence[Tensor | PackedWeight], dim: int) -> Tensor | None:
    plain = [weight for weight in weights if isinstance(weight, Tensor)]
    return joined(plain, dim) if len(plain) == len(weights) else None
