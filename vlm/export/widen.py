"""The numbers that a quantized weight stands for, straight from the tensors that were made."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..quantize.fp8 import dequantize_fp8
from ..quantize.int4 import dequantize_int4
from ..quantize.int8 import dequantize_int8
from ..quantize.nvfp4 import Nvfp4, dequantize_nvfp4
from ..quantize.weight_formats import WeightFormat


def widen(parts: Sequence[Tensor], form: WeightFormat, shape: torch.Size) -> Tensor:
    """The float32 weight of `layouts.encode`, in ModelOpt's layout."""
    codes, scale = parts[0], parts[1]
    if form.stored == "FP8":
        rows = scale.reshape(-1, 1) if form.granularity != "block" else scale
        return dequantize_fp8(codes.view(torch.uint8), rows)
    if form.stored == "NVFP4":
        return dequantize_nvfp4(
            Nvfp4(
                codes=codes,
                block_scales=scale.view(torch.uint8),
                tensor_scale=parts[2].view(1, 1),
            )
        )
    if form.stored == "INT8":
        return dequantize_int8(codes, scale)
    return dequantize_int4(codes.view(torch.uint8), scale).view(shape)
