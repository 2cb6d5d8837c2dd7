"""INT8 with a float32 scale for each row: what Jamba's ExpertsInt8 keeps its experts in.

No checkpoint holds it; it is computed from a full-precision weight. Letters: N rows (outputs),
K columns (inputs); any dimensions before them are a stack.
"""

import torch
from torch import Tensor

from .fp8 import check_finite

LARGEST = 127.0


def quantize_int8(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A weight `(..., N, K)` to int8 codes and scales `(..., N, 1)`; rows of zeros have scale 1.

    Raises:
        InputError: the weight holds NaN or infinity.
    """
    weight = check_finite(weight).float()
    scale = weight.abs().amax(-1, keepdim=True) / LARGEST
    scale = torch.where(scale == 0, 1.0, scale)
    return (weight / scale).round().clamp(-LARGEST, LARGEST).to(torch.int8), scale


def dequantize_int8(codes: Tensor, scale: Tensor) -> Tensor:
    """The float32 weight."""
    return codes.float().mul_(scale)
