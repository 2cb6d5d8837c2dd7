"""Products with packed weights: `x @ weight.T`, of a weight of few bits.

`kernel_for` is the boundary: it chooses how a product is computed, by the weight's format and
where it lies, and compiled kernels would be chosen there. Without any, a weight is widened a tile
of rows at a time, or an expert of a stack: on a CPU into a buffer that stays in its cache and is
multiplied there in float32; elsewhere to the input's number format.

FP8 on GPUs with units for it (Ada, Hopper and newer) is multiplied as it is, by
`torch._scaled_mm`: the rows of a half-precision input are rounded to FP8 too, each by its largest
number, as the servers of such checkpoints do.

Letters: T tokens, N outputs, K inputs, R rows of a tile.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ..quantize.fp8 import LARGEST
from ..quantize.packed import Fp8Weight, PackedWeight
from ..quantize.tiles import Buffers, Piece, buffers
from .linear import cpu_multiplies_bfloat16, linear

Kernel = Callable[[Tensor, Any, int | None], Tensor]

_CPU_ELEMENTS, _GPU_ELEMENTS = 1 << 19, 1 << 26
_FP8_UNITS = (8, 9)  # the first compute capability that has them
_FP8_MULTIPLE = 16  # of both sizes of a weight that they take


def packed_linear(
    x: Tensor, weight: PackedWeight, bias: Tensor | None = None, *, expert: int | None = None
) -> Tensor:
    """`x @ weight.T + bias` for x `(..., K)` and a weight `(N, K)`, or one expert of `(E, N, K)`.

    The result has x's dtype; gradients reach x.
    """
    rows = x.reshape(-1, x.shape[-1])
    out = kernel_for(weight, rows)(rows, weight, expert)
    if bias is not None:
        out = out + bias.to(out.dtype)
    return out.view(*x.shape[:-1], out.shape[-1])


def kernel_for(weight: PackedWeight, x: Tensor) -> Kernel:
    """How products of such an input with such a weight are computed."""
    needs_grad = torch.is_grad_enabled() and x.requires_grad
    if not needs_grad and _has_fp8_units(x.device) and fits_scaled_mm(weight, x):
        return scaled_mm
    on_cpu = x.device.type == "cpu" and weight.tile_kind is not None
    if on_cpu and not needs_grad and _is_float32_there(x.dtype):
        return in_tiles
    return widened


def fits_scaled_mm(weight: PackedWeight, x: Tensor) -> bool:
    """Whether `torch._scaled_mm` takes them: FP8 with one scale or one a row, half precision."""
    if not isinstance(weight, Fp8Weight) or x.dtype not in (torch.bfloat16, torch.float16):
        return False
    rows, columns = weight.shape[-2:]
    whole = weight.scale.shape[-1] == 1 and weight.scale.shape[-2] in (1, rows)
    return whole and rows % _FP8_MULTIPLE == 0 and columns % _FP8_MULTIPLE == 0


def scaled_mm(x: Tensor, weight: Fp8Weight, expert: int | None) -> Tensor:
    """FP8 by FP8: the rows of the input are rounded, each by its largest number."""
    codes = weight.codes if expert is None else weight.codes[expert]
    scale = weight.scale if expert is None else weight.scale[expert]
    steps = x.abs().amax(-1, keepdim=True).float().clamp_min(1e-12) / LARGEST
    rounded = (x.float() / steps).to(torch.float8_e4m3fn)
    rounded = rounded.flatten().view(x.shape)  # by rows, and so are the strides of a single one
    out = torch._scaled_mm(  # pyright: ignore[reportPrivateImportUsage]
        rounded,
        codes.view(torch.float8_e4m3fn).t(),
        scale_a=steps,
        scale_b=scale.view(1, -1).expand(1, codes.shape[0]).contiguous(),
        out_dtype=torch.bfloat16,
    )
    return out.to(x.dtype)


def widened(x: Tensor, weight: PackedWeight, expert: int | None) -> Tensor:
    """In x's number format, an expert or a tile at a time; for any device, and with gradients."""
    if expert is not None:
        return linear(x, weight.matrix(expert, dtype=x.dtype))
    limit = _CPU_ELEMENTS if x.device.type == "cpu" else _GPU_ELEMENTS
    parts = [linear(x, weight.matrix(rows=rows, dtype=x.dtype)) for rows in _tiles(weight, limit)]
    return torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]


def in_tiles(x: Tensor, weight: PackedWeight, expert: int | None) -> Tensor:
    """In float32 on a CPU, through buffers; without gradients."""
    wide = x.float()
    out = wide.new_empty(x.shape[0], weight.shape[-2])
    return put_product(wide, weight, out, expert=expert).to(x.dtype)


def put_product(
    x_TK: Tensor, weight: PackedWeight, out_TN: Tensor, *, expert: int | None = None
) -> Tensor:
    """`x @ weight.T` into `out`, float32 on a CPU; its rows may lie apart."""
    pieces = weight.pieces(expert, _CPU_ELEMENTS)
    for piece in pieces:
        tile = _filled(weight, [piece]).tile_t
        part = out_TN if len(pieces) == 1 else out_TN[:, piece.rows]
        torch.mm(x_TK, tile, out=part)
        if piece.factor is not None:
            part.mul_(piece.factor)
    return out_TN


def put_products_of_row(
    x_K: Tensor, weight: PackedWeight, experts: Sequence[int], out: Tensor
) -> Tensor:
    """One row times several experts of a stack, side by side: `out` `(1, experts * N)`, float32."""
    row, width = x_K.view(1, -1), weight.shape[-2]
    for at, some in _groups(weight, experts):
        place = out[:, at * width : (at + len(some)) * width]
        pieces = [weight.pieces(e, _CPU_ELEMENTS) for e in some]
        if len(pieces[0]) > 1:  # an expert larger than a tile, alone
            put_product(row, weight, place, expert=some[0])
            continue
        torch.mm(row, _filled(weight, [first for (first,) in pieces]).tile_t, out=place)
        for part, (piece,) in zip(place.split(width, dim=1), pieces, strict=True):
            if piece.factor is not None:
                part.mul_(piece.factor)
    return out


def add_products_of_rows(
    rows_EK: Sequence[Tensor],
    weight: PackedWeight,
    experts: Sequence[int],
    shares: Sequence[float],
    into_N: Tensor,
    *,
    keep: bool,
) -> None:
    """`into = keep * into + sum_e share_e * (row_e @ expert_e.T)`, float32 on a CPU.

    Args:
        rows_EK: a row `(1, K)` of each expert; `into_N` `(1, N)` may be none of them.
    """
    if not keep:
        into_N.zero_()
    for at, some in _groups(weight, experts):
        pieces = [weight.pieces(e, _CPU_ELEMENTS) for e in some]
        if len(pieces[0]) > 1:
            out = put_product(rows_EK[at], weight, torch.empty_like(into_N), expert=some[0])
            into_N.add_(out, alpha=shares[at])
            continue
        made = _filled(weight, [first for (first,) in pieces])
        for idx, (piece,) in enumerate(pieces):
            row, share = rows_EK[at + idx], shares[at + idx]
            if piece.factor is None:
                into_N.addmm_(row, made.tiles[idx].t(), alpha=share)
            else:
                into_N.addcmul_(row @ made.tiles[idx].t(), piece.factor, value=share)


def _filled(weight: PackedWeight, pieces: Sequence[Piece]) -> Buffers:
    first = pieces[0]
    assert weight.tile_kind is not None
    groups = 0 if first.steps is None else first.steps.shape[-1]
    made = buffers(len(pieces), len(first.codes), weight.shape[-1], groups, weight.tile_kind)
    made.fill(pieces)
    return made


def _groups(weight: PackedWeight, experts: Sequence[int]) -> Iterator[tuple[int, Sequence[int]]]:
    """Experts that fit into a tile together, one at least, and where each group begins."""
    count = max(1, _CPU_ELEMENTS // (weight.shape[-2] * weight.shape[-1]))
    for at in range(0, len(experts), count):
        yield at, experts[at : at + count]


def _tiles(weight: PackedWeight, limit: int) -> Iterator[slice]:
    num_rows, columns = weight.shape[-2:]
    step = max(1, limit // columns)
    for start in range(0, num_rows, step):
        yield slice(start, min(start + step, num_rows))


def _is_float32_there(dtype: torch.dtype) -> bool:
    """Whether products of that number format are computed in float32 on this CPU."""
    half = dtype in (torch.bfloat16, torch.float16)
    return dtype == torch.float32 or (half and not cpu_multiplies_bfloat16())


def _has_fp8_units(device: torch.device) -> bool:
    """Of NVIDIA: AMD's GPUs are "cuda" too and have another E4M3, and PyTorch for Windows has no
    such product by rows."""
    if device.type != "cuda" or torch.version.hip is not None or sys.platform == "win32":
        return False
    return torch.cuda.get_device_capability(device) >= _FP8_UNITS
