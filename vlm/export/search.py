"""`auto`: which layers get which format, by how much each changes what it puts out.

Every unit (all experts of a layer, its q, k and v, one projection) is quantized alone, in each
format, and its layer run on calibration data. What its output changes by, of the size of the
hidden states behind it, is the unit's sensitivity. Then all units have the fewest bits, and
those whose error falls most for a bit are given more while the budget lasts.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from ...data.processor import ModelInputs
from ...errors import ConfigError
from ..language_model import Block
from ..layers.moe import Experts
from ..ops.linear import Linear
from ..quantize.classes import EXPERTS, HEAD, MTP, class_of
from ..quantize.modules import put_packed
from ..quantize.packed import PackedWeight
from ..quantize.recipes import FORMATS, Recipe, WeightFormat, unit_of
from .blocks import BlockRunner, Row
from .calibrate import Calibration, Notify, calibrate
from .layouts import encode, problem
from .plain_files import DTYPES
from .widen import widen

_ANY = "modelopt"  # the numbers that a weight becomes are all but the same in every layout
_CANDIDATES = ("nvfp4-mse", "fp8")


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What `auto` may use.

    Attributes:
        bits: a parameter of the language model's layers, on average, block scales included.
        formats: names from `FORMATS`, besides keeping.
    """

    bits: float = 4.75
    formats: tuple[str, ...] = _CANDIDATES

    def __post_init__(self) -> None:
        for name in self.formats:
            if FORMATS.get(name) is None:
                raise ConfigError(f"auto cannot choose {name!r}; formats are {', '.join(FORMATS)}.")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A format for a unit: what it costs, and what it changes."""

    form: WeightFormat | None
    bits: float
    error: float


def search_recipe(
    runner: BlockRunner,
    prompts: Sequence[ModelInputs],
    budget: Budget,
    *,
    notify: Notify = lambda what, done, total: None,
) -> tuple[Recipe, Calibration]:
    """A recipe within the budget, and the calibration it was found by.

    Raises:
        ConfigError: even the fewest bits are more than the budget.
    """
    units = _units(runner)
    choices: dict[str, list[Choice]] = {}

    def look(idx: int, block: Block, rows: list[Row], after: list[Row]) -> None:
        for unit, names in units.items():
            if class_of(names[0]).layer == idx:
                choices[unit] = _measure(runner, block, idx, names, rows, after, budget)

    calibration = calibrate(runner, prompts, notify=notify, each_block=look)
    sizes = {unit: sum(prod(runner.source.shapes[n]) for n in units[unit]) for unit in choices}
    chosen = choose(choices, sizes, budget.bits)
    layers = {unit: choice.form for unit, choice in chosen.items()}
    recipe = Recipe(name=f"auto at {budget.bits:g} bits", formats={}, layers=layers, kv_cache="FP8")
    return recipe, calibration


def choose(
    choices: dict[str, list[Choice]], sizes: dict[str, int], bits: float
) -> dict[str, Choice]:
    """One choice a unit: the least error found within the average of bits.

    Raises:
        ConfigError: there is nothing to choose for, or the fewest bits are above the budget.
    """
    if not choices:
        raise ConfigError("auto found no layer to quantize in this model.")
    total = sum(sizes.values())
    chosen = {unit: min(found, key=lambda c: (c.bits, c.error)) for unit, found in choices.items()}
    spent = sum(sizes[unit] * choice.bits for unit, choice in chosen.items())
    if spent > bits * total:
        raise ConfigError(
            f"The budget of {bits:g} bits a parameter cannot be met: these formats take "
            f"{spent / total:.2f} at least."
        )
    while True:
        best, gain = None, 0.0
        for unit, now in chosen.items():
            for other in choices[unit]:
                more = sizes[unit] * (other.bits - now.bits)
                if more <= 0 or spent + more > bits * total:
                    continue
                found = (now.error - other.error) / more
                if found > gain:
                    best, gain = (unit, other, more), found
        if best is None:
            return chosen
        chosen[best[0]] = best[1]
        spent += best[2]


def _units(runner: BlockRunner) -> dict[str, list[str]]:
    units: dict[str, list[str]] = {}
    for name in runner.source.names():
        found = class_of(name)
        is_weight = name.endswith(".weight") or runner.source.is_stack(name)
        if found.can_be_quantized and is_weight and found.name not in (HEAD, MTP):
            units.setdefault(unit_of(name), []).append(name)
    return units


@torch.no_grad()
def _measure(
    runner: BlockRunner,
    block: Block,
    idx: int,
    names: list[str],
    rows: list[Row],
    after: list[Row],
    budget: Budget,
) -> list[Choice]:
    source = runner.source
    kept = max(8.0 * DTYPES[source.dtype(name)].itemsize for name in names)
    found = [Choice(form=None, bits=kept, error=0.0)]
    for format_name in budget.formats:
        form = FORMATS[format_name]
        assert form is not None
        shapes = [source.shapes[name][-2:] for name in names]
        if any(problem(form, shape) for shape in shapes):
            continue
        changed = _with_quantized(block, f"{source.prefix}layers.{idx}.", names, form)
        difference = size = 0.0
        for row, right in zip(rows, after, strict=True):
            wrong = row.through(changed).hidden
            difference += float((wrong - right.hidden).square().sum())
            size += float(right.hidden.square().sum())
        found.append(Choice(form=form, bits=form.bits, error=difference / max(size, 1e-30)))
    return found


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
