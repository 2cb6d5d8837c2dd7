"""What an export will write, tensor by tensor, before anything is written."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import torch
from torch import Tensor

from ...errors import ConfigError
from ..checkpoint.names import listed
from ..quantize.classes import QUANTIZABLE, class_of
from ..quantize.fp8 import BLOCK
from ..quantize.recipes import Recipe, unit_of
from ..quantize.weight_formats import WeightFormat
from .layouts import Layout, check_layout, planned, planned_stack, problem
from .plain_files import NAMES, TensorSpec
from .source import WeightSource


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One weight on disk.

    Attributes:
        module: its name on disk without `.weight`, or the whole name of what is no weight.
        parts: the tensors of ours that it is made of, one over the other, each with its expert.
        form: its number format; None if it is written as it is stored.
        specs: the tensors that are written.
        shape: of the weight.
        constant: the tensor itself, where the model has none.
        kv_scale: of the scale of an FP8 cache, "k" or "v" and the layer.
    """

    module: str
    parts: tuple[tuple[str, int | None], ...]
    form: WeightFormat | None
    specs: tuple[TensorSpec, ...]
    shape: tuple[int, ...]
    constant: Tensor | None = None
    kv_scale: tuple[str, int] | None = None

    @property
    def name(self) -> str:
        """Of ours; of what has none, its name on disk."""
        return self.parts[0][0] if self.parts else self.module


@dataclass(frozen=True, kw_only=True)
class ExportPlan:
    """Everything that is written, in order.

    Attributes:
        recipe: the number formats.
        layout: how they are laid out.
    """

    recipe: Recipe
    layout: Layout
    entries: tuple[Entry, ...]

    @property
    def num_bytes(self) -> int:
        return sum(spec.num_bytes for spec in self.specs)

    @property
    def specs(self) -> list[TensorSpec]:
        return [spec for entry in self.entries for spec in entry.specs]

    @cached_property
    def formats(self) -> dict[str, WeightFormat]:
        """Disk modules that are quantized, and how."""
        return {entry.module: entry.form for entry in self.entries if entry.form is not None}


def make_plan(source: WeightSource, recipe: Recipe, layout: Layout) -> ExportPlan:
    """Lay an export out.

    Raises:
        ConfigError: the recipe quantizes nothing of this model, the layout has no place for a
            format, a weight has no such form, or the source is quantized already.
    """
    source.require_full_precision()
    check_layout(layout, [*recipe.formats.values(), *filter(None, recipe.layers.values())])
    entries = [_entry(source, recipe, layout, *item) for item in _spelled(source)]
    if not any(entry.form for entry in entries):
        named = ", ".join(recipe.formats) or "nothing"
        there = {class_of(name).name for name in source.names()}
        can = ", ".join(sorted(c for c in there if c in QUANTIZABLE))
        raise ConfigError(
            f"The recipe {recipe.name} names {named}, and {source.folder} has no such layer; "
            f"it has {can}."
        )
    wrong = [
        f"{entry.module} ({reason})"
        for entry in entries
        if entry.form
        and (reason := problem(entry.form, entry.shape) or split_problem(entry.form, entry))
    ]
    if wrong:
        raise ConfigError(
            f"The recipe {recipe.name} cannot be kept for {listed(wrong)}; give that class another "
            "format, such as --set experts=fp8, or keep it."
        )
    if recipe.kv_cache:
        entries += _kv_scales(source, layout)
    for name, tensor in source.family.constants(source.config).items():
        spec = TensorSpec(name=name, dtype=NAMES[tensor.dtype], shape=tuple(tensor.shape))
        entries.append(
            Entry(
                module=name,
                parts=(),
                form=None,
                specs=(spec,),
                shape=spec.shape,
                constant=tensor,
            )
        )
    return ExportPlan(recipe=recipe, layout=layout, entries=tuple(entries))


def split_problem(form: WeightFormat, entry: Entry) -> str | None:
    """Why gate and up, one over the other, have no such form; None if they have."""
    half = entry.shape[-2] // 2
    if len(entry.parts) == 2 and form.granularity == "block" and half % BLOCK:
        return f"a block of {BLOCK} rows has rows of both its gate and its up"
    return None


def joined_units(source: WeightSource) -> Mapping[str, list[str]]:
    """Weights that must share their scales, by unit: q, k and v; gate and up, if apart."""
    groups: dict[str, list[str]] = {}
    for name in source.names():
        leaf = name.removesuffix(".weight").rpartition(".")[2]
        if leaf in ("q_proj", "k_proj", "v_proj"):
            groups.setdefault(unit_of(name), []).append(name)
        elif leaf in ("gate_proj", "up_proj"):
            groups.setdefault(f"{unit_of(name)}|gated", []).append(name)
    return {unit: names for unit, names in groups.items() if len(names) > 1}


def _spelled(source: WeightSource) -> Iterator[tuple[str, tuple[tuple[str, int | None], ...]]]:
    """Names on disk, and the tensors of ours that each is made of."""
    pairs: list[tuple[str, tuple[str, int | None]]] = []
    for name in source.names():
        if source.is_tied and name.endswith("lm_head.weight"):
            continue
        shape = source.shapes[name]
        # a rule that looks at values does so for vectors alone
        tensor = source.read(name) if len(shape) == 1 else torch.empty(shape, device="meta")
        names = source.family.respell(name, tensor)
        if names is not None:
            pairs += [(disk, (name, None)) for disk in names]
        elif source.is_stack(name):
            experts = range(shape[0])
            pairs += [(source.family.disk_name(name, e), (name, e)) for e in experts]
        else:
            pairs.append((source.family.disk_name(name, None), (name, None)))
    for disk, group in groupby(pairs, key=lambda pair: pair[0]):
        yield disk, tuple(part for _, part in group)


def _kv_scales(source: WeightSource, layout: Layout) -> Iterator[Entry]:
    """ModelOpt puts them on the products, compressed-tensors on the attention module."""
    for idx, letter in enumerate(source.text.hybrid_override_pattern):
        if letter != "*":
            continue
        for which in ("k", "v"):
            ours = f"{source.prefix}layers.{idx}.mixer.{which}_proj.weight"
            module = source.family.disk_name(ours, None).removesuffix(".weight")
            shape: tuple[int, ...] = ()
            if layout == "compressed-tensors":
                module, shape = module.rpartition(".")[0], (1,)
            name = f"{module}.{which}_scale"
            yield Entry(
                module=name,
                parts=(),
                form=None,
                specs=(TensorSpec(name=name, dtype="F32", shape=shape),),
                shape=shape,
                kv_scale=(which, idx),
            )


def _entry(
    source: WeightSource,
    recipe: Recipe,
    layout: Layout,
    disk: str,
    parts: tuple[tuple[str, int | None], ...],
) -> Entry:
    shapes = [source.shapes[name][0 if e is None else 1 :] for name, e in parts]
    shape = (
        shapes[0]
        if len(shapes) == 1
        else (*shapes[0][:-2], sum(s[-2] for s in shapes), shapes[0][-1])
    )
    name = parts[0][0]
    is_weight = name.endswith(".weight") or source.is_stack(name)
    form = recipe.format_of(name, source.text.hybrid_override_pattern) if is_weight else None
    if form is not None:
        module = disk.removesuffix(".weight")
        if len(shape) == 2:
            specs = planned(module, form, (shape[0], shape[1]), layout)
        else:
            specs = planned_stack(module, form, (shape[0], shape[1], shape[2]), layout)
        return Entry(module=module, parts=parts, form=form, specs=tuple(specs), shape=shape)
    spec = TensorSpec(name=disk, dtype=source.dtype(name), shape=shape)
    return Entry(
        module=disk.removesuffix(".weight"), parts=parts, form=None, specs=(spec,), shape=shape
    )
