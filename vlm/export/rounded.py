"""What numbers become in a recipe's formats, without packing them: weights as the writer stores
them, bit for bit, and inputs as readers of those formats round them.

Letters: N rows (outputs), K columns (inputs), T tokens; any dimensions before N are a stack.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..quantize.fp8 import BLOCK, dequantize_fp8, quantize_fp8
from ..quantize.int4 import dequantize_int4, quantize_int4
from ..quantize.int8 import dequantize_int8, quantize_int8
from ..quantize.nvfp4 import round_nvfp4
from ..quantize.weight_formats import WeightFormat
from .layouts import Layout, int4_group


def rounded_weight(
    weight: Tensor, form: WeightFormat, layout: Layout, *, largest: Tensor | None = None
) -> Tensor:
    """A weight `(..., N, K)` as `layouts.encode` stores it, widened again: float32.

    Args:
        largest: `(..., 1, 1)`, of all matrices that share the scale; its own if None.

    Raises:
        InputError: the weight has no such form, or holds NaN or infinity.
    """
    if form.stored == "FP8":
        shared = largest if form.granularity == "tensor" else None
        return dequantize_fp8(*quantize_fp8(weight, form.granularity, largest=shared))
    if form.stored == "NVFP4":
        divides = layout == "compressed-tensors"
        return round_nvfp4(weight, divides=divides, search=form.search, largest=largest)
    if form.stored == "INT8":
        return dequantize_int8(*quantize_int8(weight))
    group = int4_group(form, weight.shape[-1])
    return dequantize_int4(*quantize_int4(weight, group=group, scale_dtype=torch.bfloat16))


def rounds_inputs(form: WeightFormat) -> bool:
    """Whether readers of a format round what its weights are multiplied with."""
    return form.kind in ("FP8", "NVFP4")


def rounded_inputs(values: Tensor, form: WeightFormat, largest: Tensor) -> Tensor:
    """Inputs `(T, K)` of a weight in a format that rounds them, float32.

    FP8 by tensor and NVFP4 have a scale that is stored, by the largest number of calibration; FP8
    by channel has one a token, FP8 by block one for each 128 columns of a token.

    Args:
        largest: a number, what the stored scale is made for; what is beyond it is clipped.
    """
    shared = largest.reshape(1, 1)
    if form.kind == "NVFP4":
        return round_nvfp4(values, largest=shared)
    if form.granularity == "tensor":
        return dequantize_fp8(*quantize_fp8(values, "tensor", largest=shared))
    if form.granularity == "channel":
        return dequantize_fp8(*quantize_fp8(values, "channel"))
    columns = values.shape[-1]
    blocks = F.pad(values, (0, -columns % BLOCK)).unflatten(-1, (-1, BLOCK))
    return dequantize_fp8(*quantize_fp8(blocks, "channel")).flatten(-2)[..., :columns]
