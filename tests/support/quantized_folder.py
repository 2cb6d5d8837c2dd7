"""Quantized checkpoints written from the formats' definitions, without latentvlm's codecs.

Slow, one value at a time, and in the layouts of ModelOpt and compressed-tensors.
"""

import torch
from torch import Tensor

SIZES = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]


def plain_e2m1(value: float) -> int:
    """The code of a number: the nearest size, the even code on a tie."""
    size = abs(value)
    code = sum(size > bound for bound in (0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0))
    code += size in (0.75, 1.75, 3.5)
    return (8 if value < 0 else 0) | code


def plain_nvfp4_quantize(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """ModelOpt's `weight`, `weight_scale` and `weight_scale_2`."""
    amax = matrix.abs().max()
    tensor_scale = (amax / 2688).float() if amax else torch.tensor(1.0)
    blocks = matrix.view(matrix.shape[0], -1, 16)
    scales = blocks.abs().amax(-1) / (6 * tensor_scale)
    scales[scales == 0] = 1
    scales = scales.clamp(2**-9, 448).to(torch.float8_e4m3fn)
    scaled = (blocks / (scales.float() * tensor_scale)[..., None]).view(matrix.shape)
    codes = torch.tensor([[plain_e2m1(v) for v in row] for row in scaled.tolist()])
    codes = codes.to(torch.uint8)
    return (codes[:, 1::2] << 4) | codes[:, 0::2], scales, tensor_scale


def plain_nvfp4_dequantize(codes: Tensor, scales: Tensor, tensor_scale: Tensor) -> Tensor:
    each = torch.stack([codes & 15, codes >> 4], -1).flatten(-2).long()
    values = torch.tensor(SIZES + [-size for size in SIZES])[each]
    steps = (scales.float() * tensor_scale)[..., None]
    return (values.view(codes.shape[0], -1, 16) * steps).flatten(1)
