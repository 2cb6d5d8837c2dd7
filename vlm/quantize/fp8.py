"""FP8 E4M3: a sign, 4 exponent and 3 mantissa bits, up to 448; no infinity, one NaN a sign.

A weight is `codes * scale`, with one scale for the whole matrix, for each row, or for each
block of 128 x 128. Codes are bytes (uint8), not torch's float8: not every device has that, and
a change of a model's number format must not touch them.

Letters: N rows (outputs), K columns (inputs); any dimensions before them are a stack.
"""

from functools import cache
from typing import Literal

import torch
from torch import Tensor

from ...errors import InputError

LARGEST = 448.0
BLOCK = 128
NAN_CODE = 0x7F

Granularity = Literal["tensor", "channel", "block"]


@cache
def _table(device: torch.device) -> Tensor:
    every = torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn)
    return every.float().to(device)


def decode_e4m3(codes: Tensor) -> Tensor:
    """Bytes to float32, exact; NaN codes become NaN."""
    # A gather over one dimension: four times as fast on a CPU as casting or indexing.
    values = _table(codes.device).index_select(0, codes.flatten().to(torch.int32))
    return values.view(codes.shape)


def encode_e4m3(values: Tensor) -> Tensor:
    """Numbers to bytes, to nearest with ties to even; beyond 448 they become 448, NaN stays NaN."""
    on_cpu = values.device.type == "mps"
    clamped = values.float().clamp(-LARGEST, LARGEST)
    codes = (clamped.cpu() if on_cpu else clamped).to(torch.float8_e4m3fn).view(torch.uint8)
    return codes.to(values.device)


def quantize_fp8(
    weight: Tensor, granularity: Granularity, *, largest: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """A weight `(..., N, K)` to codes of that shape and float32 scales.

    Args:
        largest: for "tensor", `(..., 1, 1)`, the largest number that its scale is made for; its
            own if None. Matrices that readers join, such as q, k and v, are given the same.

    Returns:
        Scales `(..., 1, 1)`, `(..., N, 1)`, or one a block `(..., ceil(N/128), ceil(K/128))`.
        What is all zeros has scale 1.

    Raises:
        InputError: the weight holds NaN or infinity.
    """
    weight = check_finite(weight).float()
    if granularity == "tensor":
        largest = weight.abs().amax((-2, -1), keepdim=True) if largest is None else largest.float()
    elif granularity == "channel":
        largest = weight.abs().amax(-1, keepdim=True)
    else:
        largest = _block_maxima(weight.abs())
    scale = largest / LARGEST
    scale = torch.where(scale == 0, 1.0, scale)
    return encode_e4m3(weight / spread(scale, weight.shape)), scale


def dequantize_fp8(codes: Tensor, scale: Tensor) -> Tensor:
    """The float32 weight `(..., N, K)`; scales as `quantize_fp8` returns them."""
    return decode_e4m3(codes).mul_(spread(scale, codes.shape))


def spread(scale: Tensor, shape: torch.Size) -> Tensor:
    """Scales as they multiply a weight of that shape: blocks are repeated, the rest broadcasts."""
    num_rows, num_columns = shape[-2:]
    scale = spread_rows(scale, num_rows)
    if scale.shape[-1] not in (1, num_columns):
        scale = scale.repeat_interleave(BLOCK, dim=-1)[..., :num_columns]
    return scale


def spread_rows(scale: Tensor, num_rows: int) -> Tensor:
    """One scale row for each row of the weight, or a single one for all."""
    if scale.shape[-2] in (1, num_rows):
        return scale
    return scale.repeat_interleave(BLOCK, dim=-2)[..., :num_rows, :]


def check_finite(weight: Tensor) -> Tensor:
    """The weight itself.

    Raises:
        InputError: it holds NaN or infinity, which no scale can hold.
    """
    if not bool(torch.isfinite(weight).all()):
        raise InputError("A weight that holds NaN or infinity cannot be quantized.")
    return weight


def _block_maxima(values: Tensor) -> Tensor:
    num_rows, num_columns = values.shape[-2:]
    padded = torch.nn.functional.pad(values, (0, -num_columns % BLOCK, 0, -num_rows % BLOCK))
    return padded.unflatten(-1, (-1, BLOCK)).amax(-1).unflatten(-2, (-1, BLOCK)).amax(-2)
