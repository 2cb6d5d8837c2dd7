"""INT4 with a scale for each group of a row: what compressed-tensors calls pack-quantized.

    weight = (code - 8) * scale        code 0..15, scale = amax of the group / 7.5

Two codes share a byte, the even column in the low four bits, so that eight of them are one
little-endian int32 of the file. It keeps its scales in the number format of the weight, which is
what makes it small; made for CPUs, which have no units for FP8 or FP4. Letters: N rows, K columns;
any dimensions before them are a stack.
"""

import torch
from torch import Tensor

from ...errors import InputError
from .fp8 import check_finite

GROUP = 32
_OFFSET = 8
_HALF_RANGE = 7.5


def quantize_int4(
    weight: Tensor, *, group: int = GROUP, scale_dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """A weight `(..., N, K)` to uint8 codes `(..., N, K/2)` and scales `(..., N, K/group)`.

    Groups of zeros have scale 1. Codes are those under the scales as they are rounded.

    Raises:
        InputError: K is no multiple of the group or of 8, or the weight holds NaN or infinity.
    """
    num_columns = weight.shape[-1]
    if group <= 0 or num_columns % group or num_columns % 8:
        raise InputError(
            f"A weight of {num_columns} columns has no INT4 form in groups of {group}: they must "
            "be a multiple of it, and of 8."
        )
    groups = check_finite(weight).float().unflatten(-1, (-1, group))
    scale = groups.abs().amax(-1) / _HALF_RANGE
    scale = scale.to(scale_dtype)
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    codes = (groups / scale.float().unsqueeze(-1)).round().clamp(-_OFFSET, _OFFSET - 1).flatten(-2)
    codes = (codes + _OFFSET).to(torch.uint8)
    return (codes[..., 1::2] << 4) | codes[..., 0::2], scale


def dequantize_int4(codes: Tensor, scale: Tensor) -> Tensor:
    """The float32 weight `(..., N, K)`."""
    values = torch.stack([codes & 15, codes >> 4], -1).flatten(-2).float().sub_(_OFFSET)
    groups = values.unflatten(-1, (scale.shape[-1], -1))
    return groups.mul_(scale.float().unsqueeze(-1)).flatten(-2)
