"""A model that computes as its export will: weights are rounded in the forward, and gradients pass.

    forward    q(w), what the writer stores
    backward   dL/dw = dL/dq    straight through (Bengio et al., arXiv:1308.3432)

Weights in full precision are what is trained; what a recipe quantizes is rounded to bfloat16, as a
run writes it, and then to the recipe's format, and what it keeps to bfloat16 alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..checkpoint.save import FLOAT32_NAMES
from ..export.layouts import Layout
from ..export.model_weights import ModelWeights
from ..export.plan import joined_units, make_plan
from ..export.rounded import rounded_weight
from ..language_model import LanguageModel
from ..model import VisionLanguageModel
from ..quantize.recipes import Recipe as ExportRecipe
from ..quantize.weight_formats import WeightFormat


class StraightThrough(torch.autograd.Function):
    """What `rounding` makes of a tensor, with the gradient of the tensor itself.

    Args (of `apply`): the tensor, the function, and the largest size whose gradient passes, or
    None: what is clipped cannot become larger by being changed.
    """

    @staticmethod
    def forward(
        ctx: Any, values: Tensor, rounding: Callable[[Tensor], Tensor], largest: Tensor | None
    ) -> Tensor:
        if largest is not None:
            ctx.save_for_backward(values.abs() <= largest)
        return rounding(values)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (grad,) = grads
        return (grad * ctx.saved_tensors[0] if ctx.saved_tensors else grad), None, None


@dataclass(frozen=True)
class _Matrix:
    """Tensors of ours that are one matrix of the file, one over the other, or a stack of such."""

    names: tuple[str, ...]
    form: WeightFormat
    share: tuple[str, ...]  # weights of the same scale, itself among them; none if it has its own


class StoredForm:
    """How the weights of a model are stored by an export of it.

    Args:
        model: its weights may change, its shapes may not.

    Raises:
        ConfigError: the recipe quantizes nothing of the model, or a weight has no such form.
    """

    def __init__(
        self, model: VisionLanguageModel | LanguageModel, recipe: ExportRecipe, layout: Layout
    ) -> None:
        weights = ModelWeights(model, "this model")
        plan = make_plan(weights, recipe, layout)
        joined = {name: tuple(names) for names in joined_units(weights).values() for name in names}
        self.model = model
        self.layout: Layout = layout
        found: dict[tuple[str, ...], _Matrix] = {}
        for entry in plan.entries:
            names = tuple(name for name, _ in entry.parts)
            if entry.form is not None and names not in found:
                share = joined.get(names[0], ()) if len(names) == 1 else ()
                found[names] = _Matrix(names, entry.form, share)
        self._matrices = tuple(found.values())

    @property
    def formats(self) -> Mapping[str, WeightFormat]:
        """Weights that are quantized, and how."""
        return {name: matrix.form for matrix in self._matrices for name in matrix.names}

    @torch.no_grad()
    def tensors(self) -> dict[str, Tensor]:
        """What every weight is once it is stored, in float32, by name."""
        stored = {
            name: value if name.endswith(FLOAT32_NAMES) else value.bfloat16().float()
            for name, value in self.model.named_parameters()
        }
        rounded: dict[str, Tensor] = {}
        for matrix in self._matrices:
            parts = [stored[name] for name in matrix.names]
            whole = parts[0] if len(parts) == 1 else torch.cat(parts, -2)
            maxima = [stored[name].abs().amax((-2, -1), keepdim=True) for name in matrix.share]
            largest = torch.stack(maxima).amax(0) if maxima else None
            made = rounded_weight(whole, matrix.form, self.layout, largest=largest)
            rows = [part.shape[-2] for part in parts]
            rounded |= zip(matrix.names, made.split(rows, -2), strict=True)
        return stored | rounded


@contextmanager
def weights_replaced(model: nn.Module, tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """While this is open the model computes with other tensors; gradients reach its own.

    Args:
        tensors: by name of a parameter; where two names are one parameter, that parameter's.
    """
    named = dict(model.named_parameters())
    changed = {
        id(named[name]): StraightThrough.apply(named[name], lambda _, new=new: new.detach(), None)
        for name, new in tensors.items()
    }
    before: list[tuple[nn.Module, str, nn.Parameter]] = []
    try:
        for module in model.modules():
            for leaf, parameter in list(module._parameters.items()):
                if parameter is not None and id(parameter) in changed:
                    before.append((module, leaf, parameter))
                    # in place of the entry, so that the order of parameters stays
                    module._parameters[leaf] = changed[id(parameter)]
        yield
    finally:
        for module, leaf, parameter in before:
            module._parameters[leaf] = parameter
