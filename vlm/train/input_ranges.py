"""Inputs of products, rounded in training as readers of an export round them.

Their scales are made once, from the largest numbers that the student's own inputs have on the
first documents before it learns, and stay: what an export calibrates once more at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..export.rounded import rounded_inputs, rounds_inputs
from ..layers.moe import Experts
from ..model import VisionLanguageModel
from ..ops.linear import Linear
from ..quantize.classes import class_of
from ..quantize.modules import PackedLinear
from ..quantize.weight_formats import WeightFormat
from .stored import StraightThrough

OnInput = Callable[[str, Tensor], Tensor]


class InputRanges(nn.Module):
    """The largest size of the input of each weight that could be quantized; a checkpoint keeps it.

    Args:
        model: whose weights they are.
    """

    largest: Tensor

    def __init__(self, model: VisionLanguageModel) -> None:
        super().__init__()
        self.names = tuple(
            name
            for name, weight in model.named_parameters()
            if class_of(name).can_be_quantized and weight.dim() > 1
        )
        self._places = {name: idx for idx, name in enumerate(self.names)}
        self.register_buffer("largest", torch.zeros(len(self.names)))

    @property
    def are_known(self) -> bool:
        return bool(self.largest.any())

    def of(self, name: str) -> Tensor:
        return self.largest[self._places[name]]

    def note(self, name: str, values: Tensor) -> Tensor:
        """Widen the range to values, which are given back."""
        if values.numel():
            place = self._places[name]
            seen = values.detach().abs().amax().float()
            self.largest[place] = torch.maximum(self.largest[place], seen)
        return values


def rounding_inputs(ranges: InputRanges, formats: Mapping[str, WeightFormat]) -> OnInput:
    """What rounds the input of a weight; gradients pass where nothing is clipped."""

    def rounded(name: str, values: Tensor) -> Tensor:
        form = formats[name]
        largest = ranges.of(name)
        if not rounds_inputs(form) or not bool(torch.isfinite(values).all()):
            return values  # the loop deals with numbers that are none
        clips = largest if form.has_input_scale else None

        def as_readers_do(given: Tensor) -> Tensor:
            return rounded_inputs(given.float(), form, largest).to(given.dtype)

        return StraightThrough.apply(values, as_readers_do, clips)

    return rounded


@contextmanager
def inputs_changed(
    model: VisionLanguageModel, names: Sequence[str], change: OnInput
) -> Iterator[None]:
    """While this is open, products of these weights work on what `change` makes of their input."""
    handles: list[Any] = []
    watched: list[Experts] = []
    by_module: dict[nn.Module, list[str]] = {}
    for name in names:
        stack = name.rpartition(".")[0]
        by_module.setdefault(model.get_submodule(stack), []).append(name)
    try:
        for module, own in by_module.items():
            if isinstance(module, Linear | PackedLinear):
                handles.append(module.register_forward_pre_hook(_of_first(own[0], change)))
                continue
            assert isinstance(module, Experts)
            # gate and up of gated experts read the same
            into = next((name for name in own if name.endswith("up_proj")), None)
            down = next((name for name in own if name.endswith("down_proj")), None)
            if into is not None:
                handles.append(module.register_forward_pre_hook(_of_first(into, change)))
            if down is not None:
                module.on_hidden = _named(down, change)
                watched.append(module)
        yield
    finally:
        for handle in handles:
            handle.remove()
        for module in watched:
            module.on_hidden = None


def _named(name: str, change: OnInput) -> Callable[[Tensor], Tensor]:
    return lambda values: change(name, values)


def _of_first(name: str, change: OnInput) -> Callable[[nn.Module, tuple[Any, ...]], Any]:
    return lambda module, given: (change(name, given[0]), *given[1:])
