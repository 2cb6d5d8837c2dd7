"""`auto`: which layers get which format, by how much each changes what it puts out.

Every unit (all experts of a layer, its q, k and v, one projection) is quantized alone, in each
format, and its layer run on calibration data. What its output changes by, of the size of the
hidden states behind it, is the unit's sensitivity. Then all units have the fewest bits, and
those whose error falls most for a bit are given more while the budget lasts.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from math import prod

import torch
from torch import Tensor, nn

from ...data.model_inputs import ModelInputs
from ...errors import ConfigError
from ..block import Block
from ..checkpoint.names import listed
from ..layers.moe import Experts
from ..ops.linear import Linear
from ..quantize.classes import EXPERTS, HEAD, MTP, class_of
from ..quantize.modules import put_packed
from ..quantize.packed import PackedWeight
from ..quantize.recipes import Recipe, unit_of
from ..quantize.weight_formats import FORMATS, WeightFormat
from .blocks import BlockRunner, Row, through
from .budget import Budget, Choice, Search, choose
from .calibrate import Notify, calibrate
from .layouts import encode, problem
from .plain_files import DTYPES
from .source import WeightSource
from .widen import widen

_ANY = "modelopt"  # the numbers that a weight becomes are all but the same in every layout


def search_recipe(
    runner: BlockRunner,
    prompts: Sequence[ModelInputs],
    budget: Budget,
    *,
    fixed: Mapping[str, WeightFormat | None] | None = None,
    notify: Notify = lambda what, done, total: None,
) -> Search:
    """A recipe within the budget, and the calibration it was found by.

    Args:
        fixed: formats of classes that are decided already.

    Raises:
        ConfigError: even the fewest bits are more than the budget, which is seen before anything is
            measured, or nothing is quantized by it.
    """
    units = _units(runner)
    forms = {
        unit: _forms(runner.source, names, budget, fixed or {}) for unit, names in units.items()
    }
    sizes = {unit: sum(prod(runner.source.shapes[n]) for n in units[unit]) for unit in units}
    choices = {
        unit: [
            Choice(form=form, bits=_bits(runner.source, units[unit], form), error=0.0)
            for form in each
        ]
        for unit, each in forms.items()
    }
    choose(choices, sizes, budget.bits)

    def look(idx: int, block: Block, rows: list[Row], after: list[Row]) -> None:
        for unit, names in units.items():
            if class_of(names[0]).layer == idx:
                choices[unit] = [
                    replace(each, error=_error(runner, block, idx, names, rows, after, each.form))
                    for each in choices[unit]
                ]

    calibration = calibrate(
        runner, prompts, notify=notify, each_block=look, called="measuring layers"
    )
    chosen = choose(choices, sizes, budget.bits)
    layers = {unit: choice.form for unit, choice in chosen.items()}
    if not any([*layers.values(), *(fixed or {}).values()]):
        raise ConfigError(
            f"A budget of {budget.bits:g} bits a parameter leaves every layer as it is; give fewer."
        )
    recipe = Recipe(name=f"auto at {budget.bits:g} bits", formats={}, layers=layers, kv_cache="FP8")
    return Search(
        recipe=recipe, calibration=calibration, sizes=sizes, choices=choices, chosen=chosen
    )


def _units(runner: BlockRunner) -> dict[str, list[str]]:
    units: dict[str, list[str]] = {}
    for name in runner.source.names():
        found = class_of(name)
        is_weight = name.endswith(".weight") or runner.source.is_stack(name)
        if found.can_be_quantized and is_weight and found.name not in (HEAD, MTP):
            units.setdefault(unit_of(name), []).append(name)
    return units


def _forms(
    source: WeightSource,
    names: Sequence[str],
    budget: Budget,
    fixed: Mapping[str, WeightFormat | None],
) -> list[WeightFormat | None]:
    """What a unit may become: the format that its class has, or any that its rows fit."""
    kind = class_of(names[0]).name
    shapes = [source.shapes[name][-2:] for name in names]
    if kind in fixed:
        form = fixed[kind]
        reason = form and next(filter(None, (problem(form, shape) for shape in shapes)), None)
        if reason:
            raise ConfigError(f"{listed(names)} cannot be {form} ({reason}); give another format.")
        return [form]
    fits = [
        form
        for form in map(FORMATS.get, budget.formats)
        if form is not None and not any(problem(form, shape) for shape in shapes)
    ]
    return [None, *fits]


def _bits(source: WeightSource, names: Sequence[str], form: WeightFormat | None) -> float:
    if form is not None:
        return form.bits
    return max(8.0 * DTYPES[source.dtype(name)].itemsize for name in names)


@torch.no_grad()
def _error(
    runner: BlockRunner,
    block: Block,
    idx: int,
    names: list[str],
    rows: list[Row],
    after: list[Row],
    form: WeightFormat | None,
) -> float:
    """What the hidden states behind the block change by, squared, of their size."""
    if form is None:
        return 0.0
    changed = _with_quantized(block, f"{runner.source.prefix}layers.{idx}.", names, form)
    difference = size = 0.0
    for wrong, right in zip(through(changed, rows), after, strict=True):
        difference += float((wrong.hidden - right.hidden).square().sum())
        size += float(right.hidden.square().sum())
    return difference / max(size, 1e-30)


def _with_quantized(block: Block, prefix: str, names: list[str], form: WeightFormat) -> Block:
    """A copy of the block that shares all other weights, with some rounded to a format."""
    memo = {id(t): t for t in [*block.parameters(), *block.buffers()]}
    memo |= {id(m): m for m in block.modules() if isinstance(m, PackedWeight)}
    changed = deepcopy(block, memo)
    for name in names:
        inner = name.removeprefix(prefix)
        owner = changed.get_submodule(inner.removesuffix(".weight"))
        if class_of(name).name == EXPERTS:
            experts = changed.get_submodule(inner.rpartition(".")[0])
            assert isinstance(experts, Experts)
            stack = getattr(experts, inner.rpartition(".")[2])
            put_packed(changed, inner, RoundedExperts(stack, form))
        else:
            assert isinstance(owner, Linear)
            weight = widen(encode(owner.weight, form, _ANY), form, owner.weight.shape)
            owner.weight = nn.Parameter(weight, requires_grad=False)
    return changed


class RoundedExperts(PackedWeight):
    """A stack of experts, each rounded to a format when it is used."""

    format = "rounded"

    def __init__(self, stack: PackedWeight, form: WeightFormat) -> None:
        super().__init__({})
        self._stack, self._form = [stack], form

    @property
    def shape(self) -> torch.Size:
        return self._stack[0].shape

    def matrix(
        self,
        expert: int | None = None,
        rows: slice = slice(None),  # noqa: B008 (it cannot be changed)
        *,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        weight = self._stack[0].matrix(expert)
        made = widen(encode(weight, self._form, _ANY), self._form, weight.shape)
        return made[rows].to(dtype)
