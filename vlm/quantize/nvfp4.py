"""NVFP4: E2M1 codes of 4 bits, an E4M3 scale for each 16 of a row, a float32 scale for the matrix.

E2M1 has a sign and the sizes 0, 0.5, 1, 1.5, 2, 3, 4, 6. Two codes share a byte: the even
column has the low four bits. The matrix's scale is written in two ways, reciprocal to each
other, and both are kept as they are, for 1 / (1 / x) is not x:

    ModelOpt             weight = e2m1 * (block scale * s)    s = amax / 2688
    compressed-tensors   weight = e2m1 * (block scale / s)    s = 2688 / amax

2688 is 6 * 448. Some checkpoints choose their scales otherwise, so scales are read, never
derived anew. Letters: N rows, K columns; any dimensions before them are a stack.
"""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from ...errors import InputError
from .fp8 import LARGEST, check_finite, decode_e4m3, encode_e4m3
from .scale_search import ScaleSearch, better_of, check_search, closest_scales

GROUP = 16
LARGEST_CODE = 6.0
SIZES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
_LARGEST_OF_FOUR = 256.0  # of a block scale in four-over-six, times 1.5 still within 448
_SMALLEST_SCALE = 2.0**-9  # of E4M3, other than zero
_EMPTY_SCALE = 0.125  # what compressed-tensors writes for a block of zeros


@dataclass(frozen=True, kw_only=True)
class Nvfp4:
    """A matrix in NVFP4, or a stack of them.

    Attributes:
        codes: uint8 `(..., N, K/2)`.
        block_scales: E4M3 bytes `(..., N, K/16)`.
        tensor_scale: float32 `(..., 1, 1)`.
        divides: whether block scales are divided by `tensor_scale`, as in compressed-tensors.
    """

    codes: Tensor
    block_scales: Tensor
    tensor_scale: Tensor
    divides: bool = False


@cache
def _pairs(device: torch.device) -> Tensor:
    """Both values of every byte, as one 64-bit entry so that one gather fetches them."""
    sizes = torch.tensor([*SIZES, *(-size for size in SIZES)])
    byte = torch.arange(256)
    return torch.stack([sizes[byte & 15], sizes[byte >> 4]], -1).view(torch.int64)[:, 0].to(device)


@cache
def _bounds(device: torch.device) -> Tensor:
    """A size above bound i has code i + 1 or more. Ties go to the even code, so every second
    bound is one step lower."""
    middles = torch.tensor([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0])
    lower = torch.nextafter(middles, torch.zeros(()))
    return torch.where(torch.arange(7) % 2 == 1, lower, middles).to(device)


def encode_e2m1(values: Tensor) -> Tensor:
    """Numbers `(..., K)` to packed codes `(..., K/2)`: to nearest, ties to even, at most 6.

    Negative zero gets the code of zero; a negative number that rounds to zero keeps its sign.
    """
    codes = torch.bucketize(values.abs(), _bounds(values.device), out_int32=True).to(torch.uint8)
    codes = codes | ((values < 0).to(torch.uint8) << 3)
    return (codes[..., 1::2] << 4) | codes[..., 0::2]


def decode_e2m1(codes: Tensor) -> Tensor:
    """Packed codes `(..., K/2)` to float32 `(..., K)`."""
    both = _pairs(codes.device).index_select(0, codes.flatten().to(torch.int32))
    return both.view(torch.float32).view(*codes.shape[:-1], 2 * codes.shape[-1])


def round_e2m1(values: Tensor) -> Tensor:
    """What `decode_e2m1(encode_e2m1(values))` gives, without making the codes."""
    sizes = values.abs()
    step = torch.where(sizes < 2, 0.5, torch.where(sizes < 4, 1.0, 2.0))
    # to the nearest multiple, ties to the even one, which has the even code
    return (sizes / step).round_().mul_(step).clamp_max_(LARGEST_CODE).copysign_(values)


def quantize_nvfp4(
    weight: Tensor,
    *,
    divides: bool = False,
    search: ScaleSearch = "max",
    largest: Tensor | None = None,
) -> Nvfp4:
    """A weight `(..., N, K)` in NVFP4, each matrix of a stack by itself.

    Args:
        divides: as compressed-tensors writes it; else as ModelOpt does. The codes agree, the
            scales of blocks that are zeros or almost are do not.
        search: how block scales are chosen, see `scale_search`.
        largest: `(..., 1, 1)`, the largest number that the matrix's scale is made for; its own
            if None. Matrices that readers join, such as q, k and v, are given the same.

    Raises:
        InputError: K is no multiple of 16, or the weight holds NaN or infinity.
        ConfigError: there is no such search.
    """
    blocks, block_scales, tensor_scale = _scaled(weight, divides, search, largest)
    steps = _steps(block_scales, tensor_scale, divides=divides)
    return Nvfp4(
        codes=encode_e2m1((blocks / steps.unsqueeze(-1)).flatten(-2)),
        block_scales=block_scales,
        tensor_scale=tensor_scale,
        divides=divides,
    )


def round_nvfp4(
    weight: Tensor,
    *,
    divides: bool = False,
    search: ScaleSearch = "max",
    largest: Tensor | None = None,
) -> Tensor:
    """What `quantize_nvfp4` and `dequantize_nvfp4` make of a weight, without packing it."""
    blocks, block_scales, tensor_scale = _scaled(weight, divides, search, largest)
    steps = _steps(block_scales, tensor_scale, divides=divides).unsqueeze(-1)
    return round_e2m1(blocks / steps).mul_(steps).flatten(-2)


def _scaled(
    weight: Tensor, divides: bool, search: ScaleSearch, largest: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Blocks `(..., N, K/16, 16)`, bytes of their scales, and the matrix's scale."""
    check_search(search)
    num_columns = weight.shape[-1]
    if num_columns % GROUP:
        raise InputError(
            f"A weight of {num_columns} columns has no NVFP4 form: they must be a multiple of 16."
        )
    blocks = check_finite(weight).float().unflatten(-1, (-1, GROUP))
    maxima = blocks.abs().amax(-1)
    of_matrix = maxima.amax((-2, -1), keepdim=True) if largest is None else largest.float()
    limit = _LARGEST_OF_FOUR if search == "four-over-six" else LARGEST
    if divides:
        tensor_scale = LARGEST_CODE * limit / of_matrix.clamp_min(torch.finfo().tiny)
        tensor_scale = torch.nan_to_num(tensor_scale, posinf=1.0)
    else:
        tensor_scale = of_matrix / (LARGEST_CODE * limit)
        tensor_scale = torch.where(tensor_scale == 0, 1.0, tensor_scale)
    block_scales = _encode_scales(maxima, tensor_scale, divides=divides)
    if search != "max":
        block_scales = _searched(blocks, block_scales, tensor_scale, divides=divides, search=search)
    return blocks, block_scales, tensor_scale


def _encode_scales(
    maxima: Tensor, tensor_scale: Tensor, *, divides: bool, code: float = LARGEST_CODE
) -> Tensor:
    """Bytes of the block scales that make the largest numbers `(..., N, K/16)` `code`."""
    if divides:
        codes = encode_e4m3(tensor_scale * (maxima / code))
        empty = encode_e4m3(torch.tensor(_EMPTY_SCALE, device=maxima.device))
        return torch.where(codes == 0, empty, codes)
    scales = maxima / (code * tensor_scale)
    scales = torch.where(scales == 0, 1.0, scales)
    return encode_e4m3(scales.clamp(_SMALLEST_SCALE, LARGEST))


def _searched(
    blocks: Tensor, start: Tensor, tensor_scale: Tensor, *, divides: bool, search: ScaleSearch
) -> Tensor:
    """Better block scales than those that the largest numbers gave; blocks of zeros keep theirs."""
    flat = blocks.flatten(0, -2)
    scale = tensor_scale.expand(start.shape).flatten()
    maxima = flat.abs().amax(-1)

    def steps_of(codes: Tensor, at: Tensor) -> Tensor:
        scales = decode_e4m3(codes)
        return scales / scale[at] if divides else scales * scale[at]

    def errors(codes: Tensor, at: Tensor) -> Tensor:
        steps = steps_of(codes, at).unsqueeze(-1)
        return (round_e2m1(flat[at] / steps) * steps - flat[at]).square().sum(-1)

    def floors(codes: Tensor, at: Tensor) -> Tensor:
        return (maxima[at] - LARGEST_CODE * steps_of(codes, at)).clamp_min(0).square()

    codes = start.flatten()
    if search == "mse":
        found = closest_scales(codes, errors, floors)
    else:
        fours = _encode_scales(maxima.view(start.shape), tensor_scale, divides=divides, code=4.0)
        found = better_of(codes, fours.flatten(), errors)
    return torch.where(maxima > 0, found, codes).view(start.shape)


def dequantize_nvfp4(packed: Nvfp4) -> Tensor:
    """The float32 weight `(..., N, K)`."""
    values = decode_e2m1(packed.codes).unflatten(-1, (-1, GROUP))
    steps = _steps(packed.block_scales, packed.tensor_scale, divides=packed.divides)
    return values.mul_(steps.unsqueeze(-1)).flatten(-2)


def _steps(block_scales: Tensor, tensor_scale: Tensor, *, divides: bool) -> Tensor:
    scales = decode_e4m3(block_scales)
    return scales.div_(tensor_scale) if divides else scales.mul_(tensor_scale)
