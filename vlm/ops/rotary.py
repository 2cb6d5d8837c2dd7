"""Rotary position embedding (arXiv:2104.09864): pairs of values turned by an angle per position.

The pairs are value i and value i + dims / 2 of a head, as in the Llama family.

Letters: T tokens, H heads, E head size, R half of the turned values.
"""

import torch
from torch import Tensor


def rotary_tables(positions_T: Tensor, *, dims: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines `(T, 1, R)`, float32, of the angles `position * theta^(-2 i / dims)`."""
    exponents = torch.arange(0, dims, 2, device=positions_T.device, dtype=torch.float32) / dims
    angles = positions_T.float()[:, None] * theta**-exponents
    return angles.cos()[:, None], angles.sin()[:, None]


def rotate(x_THE: Tensor, cos_T1R: Tensor, sin_T1R: Tensor) -> Tensor:
    """Turn the first `2 R` values of every head; the others stay."""
    R = cos_T1R.shape[-1]
    first, second, rest = x_THE.split([R, R, x_THE.shape[-1] - 2 * R], dim=-1)
    first, second = first.float(), second.float()
    turned = [first * cos_T1R - second * sin_T1R, second * cos_T1R + first * sin_T1R]
    return torch.cat([*(part.to(x_THE.dtype) for part in turned), rest], dim=-1)
