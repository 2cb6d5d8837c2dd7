"""The tensors that stand for a quantized weight on disk, in ModelOpt's layout and in
compressed-tensors'.

    ModelOpt             FP8     X.weight F8 [N,K], X.weight_scale, X.input_scale
                         NVFP4   X.weight U8 [N,K/2], X.weight_scale F8 [N,K/16], X.weight_scale_2,
                                 X.input_scale
    compressed-tensors   FP8     X.weight F8 [N,K], X.weight_scale [1] or [N,1], X.input_scale [1]
                         NVFP4   X.weight_packed U8 [N,K/2], X.weight_scale F8 [N,K/16],
                                 X.weight_global_scale [1], X.input_global_scale [1]
                         INT8    X.weight I8 [N,K], X.weight_scale [N,1]
                         INT4    X.weight_packed I32 [N,K/8], X.weight_scale BF16 [N,K/group],
                                 X.weight_shape I64 [2]
"""

from collections.abc import Iterable
from dataclasses import replace
from math import isfinite
from typing import Literal, get_args

import torch
from torch import Tensor

from ...errors import ConfigError
from ..quantize.fp8 import BLOCK, LARGEST, quantize_fp8
from ..quantize.int4 import quantize_int4
from ..quantize.int8 import quantize_int8
from ..quantize.nvfp4 import GROUP, LARGEST_CODE, quantize_nvfp4
from ..quantize.weight_formats import WeightFormat
from .plain_files import TensorSpec

Layout = Literal["modelopt", "compressed-tensors"]
LAYOUTS = get_args(Layout)
# What ModelOpt, and the readers of its layout, call each format.
MODELOPT_ALGORITHMS = {
    ("FP8", "tensor"): "FP8",
    ("FP8", "channel"): "FP8_PER_CHANNEL_PER_TOKEN",
    ("FP8", "block"): "FP8_PB_WO",
}
_FULL_NVFP4 = LARGEST_CODE * LARGEST
_AT_ONCE = 1 << 18  # numbers


def check_layout(layout: str, formats: Iterable[WeightFormat]) -> None:
    """Raises:
    ConfigError: there is no such layout, or it has no place for a format.
    """
    if layout not in LAYOUTS:
        raise ConfigError(f"The layout is {layout!r}; it must be {' or '.join(LAYOUTS)}.")
    for each in formats:
        if layout == "modelopt" and each.stored.startswith("INT"):
            raise ConfigError(
                f"ModelOpt's layout has no {each.stored} that readers open; "
                "choose --layout compressed-tensors."
            )


def algorithm_of(form: WeightFormat) -> str:
    """ModelOpt's name of a format."""
    return MODELOPT_ALGORITHMS.get((form.kind, form.granularity), form.kind)


def int4_group(form: WeightFormat, num_columns: int) -> int:
    """The largest group, at most the format's, that rows of that length are made of; 0 if none."""
    fits = (size for size in (128, 64, 32, 16, 8) if num_columns % size == 0)
    return next((size for size in fits if size <= form.group), 0)


def problem(form: WeightFormat, shape: tuple[int, ...]) -> str | None:
    """Why a weight `(N, K)`, or a stack of them, has no such form; None if it has."""
    columns = shape[-1]
    if form.stored == "NVFP4" and columns % GROUP:
        return f"its {columns} columns are no multiple of {GROUP}"
    if form.stored == "INT4" and not int4_group(form, columns):
        return f"its {columns} columns are no multiple of 8"
    return None


def planned(module: str, form: WeightFormat, shape: tuple[int, int], layout: Layout):
    """The tensors of a weight `(N, K)` before it is quantized.

    Returns:
        A list of `TensorSpec`, in the order in which `encode` makes them.
    """
    rows, columns = shape
    one = () if layout == "modelopt" else (1,)
    parts: list[tuple[str, str, tuple[int, ...]]]
    if form.stored == "FP8":
        scales = {
            "tensor": one,
            "channel": (rows,) if layout == "modelopt" else (rows, 1),
            "block": (-(-rows // BLOCK), -(-columns // BLOCK)),
        }
        parts = [("weight", "F8_E4M3", shape), ("weight_scale", "F32", scales[form.granularity])]
    elif form.stored == "NVFP4":
        divides = layout == "compressed-tensors"
        parts = [
            ("weight_packed" if divides else "weight", "U8", (rows, columns // 2)),
            ("weight_scale", "F8_E4M3", (rows, columns // GROUP)),
            ("weight_global_scale" if divides else "weight_scale_2", "F32", one),
        ]
    elif form.stored == "INT8":
        parts = [("weight", "I8", shape), ("weight_scale", "F32", (rows, 1))]
    else:
        group = int4_group(form, columns)
        parts = [
            ("weight_packed", "I32", (rows, columns // 8)),
            ("weight_scale", "BF16", (rows, columns // group)),
            ("weight_shape", "I64", (2,)),
        ]
    if form.has_input_scale:
        is_global = form.stored == "NVFP4" and layout == "compressed-tensors"
        parts.append(("input_global_scale" if is_global else "input_scale", "F32", one))
    return [TensorSpec(name=f"{module}.{leaf}", dtype=kind, shape=s) for leaf, kind, s in parts]


def planned_stack(module: str, form: WeightFormat, shape: tuple[int, int, int], layout: Layout):
    """The tensors of all experts of a layer `(E, N, K)` under one name: each has one dimension more
    than that of one expert, but for what readers take from all of them.

    Returns:
        A list of `TensorSpec`, as `planned`.
    """
    count, rows, columns = shape
    specs = []
    for spec in planned(module, form, (rows, columns), layout):
        if spec.name.endswith("weight_shape"):
            specs.append(replace(spec, shape=(3,)))
        elif is_of_stack(spec):
            specs.append(spec)
        elif spec.name.endswith("weight_scale") and spec.shape == (1,):
            specs.append(replace(spec, shape=(count, 1, 1)))  # it multiplies the stack as it is
        else:
            specs.append(replace(spec, shape=(count, *spec.shape)))
    return specs


def is_of_stack(spec: TensorSpec) -> bool:
    """Whether all experts of a stack have it in common."""
    return spec.name.rpartition(".")[2] in ("input_scale", "input_global_scale", "weight_shape")


def encode(
    weight: Tensor,
    form: WeightFormat,
    layout: Layout,
    *,
    largest: float | None = None,
    largest_input: float | None = None,
) -> list[Tensor]:
    """The tensors of `planned`, of a weight `(N, K)`.

    Args:
        largest: the largest number of all matrices that share the scale; its own if None.
        largest_input: the largest number that its inputs had in calibration.

    Raises:
        InputError: the weight holds NaN or infinity.
    """
    divides = layout == "compressed-tensors"
    shared = None if largest is None else torch.full((1, 1), largest, device=weight.device)
    if form.stored == "FP8":
        codes, scale = quantize_fp8(
            weight, form.granularity, largest=shared if form.granularity == "tensor" else None
        )
        parts = [codes.view(torch.float8_e4m3fn), scale]
    elif form.stored == "NVFP4":
        made = quantize_nvfp4(weight, divides=divides, search=form.search, largest=shared)
        scales = made.block_scales.view(torch.float8_e4m3fn)
        parts = [made.codes, scales, made.tensor_scale]
    elif form.stored == "INT8":
        parts = [*quantize_int8(weight)]
    else:
        group = int4_group(form, weight.shape[1])
        codes, scale = quantize_int4(weight, group=group, scale_dtype=torch.bfloat16)
        parts = [codes.view(torch.int32), scale, torch.tensor(weight.shape)]
    if form.has_input_scale:
        amax = largest_input or 0.0
        full = _FULL_NVFP4 if form.stored == "NVFP4" else LARGEST
        if form.stored == "NVFP4" and divides:
            scale = full / amax if amax > 0 else 1.0
        else:
            scale = amax / full if amax > 0 else 1.0
        parts.append(torch.tensor(scale, dtype=torch.float32))
    specs = planned("", form, (weight.shape[0], weight.shape[1]), layout)
    return [part.reshape(spec.shape) for part, spec in zip(parts, specs, strict=True)]


def encode_in_slices(
    weight: Tensor,
    form: WeightFormat,
    layout: Layout,
    *,
    largest: float | None = None,
    largest_input: float | None = None,
) -> list[Tensor]:
    """What `encode` makes of all rows at once, with a slice of them in memory as float32.

    Quantizing takes several times a weight in float32, which of a head is gigabytes; no format
    has scales that reach beyond a slice, but for the largest number of all.
    """
    rows = slice_rows(weight.shape[1])
    if largest is None:
        largest = largest_number(weight)
    made = [
        encode(part.float(), form, layout, largest=largest, largest_input=largest_input)
        for part in weight.split(rows)
    ]
    specs = planned("", form, (weight.shape[0], weight.shape[1]), layout)
    whole = []
    for spec, *parts in zip(specs, *made, strict=True):
        if spec.name.endswith("weight_shape"):
            whole.append(torch.tensor(weight.shape))
        elif len(spec.shape) < 2:
            of_rows = spec.shape == (weight.shape[0],) and weight.shape[0] > 1
            whole.append(torch.cat(parts) if of_rows else parts[0])
        else:
            whole.append(_stacked(parts))
    return [part.reshape(spec.shape) for part, spec in zip(whole, specs, strict=True)]


def slice_rows(num_columns: int) -> int:
    """Rows that are worked on at once: about a megabyte in float32, and whole blocks of FP8."""
    return max(1, _AT_ONCE // max(1, num_columns) // BLOCK) * BLOCK


def largest_number(weight: Tensor) -> float:
    """The largest number of a weight, without a copy of it; NaN if it holds one."""
    low, high = torch.aminmax(weight)
    return max(-float(low), float(high)) if not low.isnan() else float(low)


def is_finite(weight: Tensor) -> bool:
    """Whether all are numbers, without a mask of them."""
    return not weight.is_floating_point() or not weight.numel() or isfinite(largest_number(weight))


def _stacked(parts: list[Tensor]) -> Tensor:
    """One over the other; torch does not join numbers that it cannot add."""
    kind = parts[0].dtype
    if kind != torch.float8_e4m3fn:
        return torch.cat(parts)
    return torch.cat([part.view(torch.uint8) for part in parts]).view(kind)
