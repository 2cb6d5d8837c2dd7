"""How scales lie beside the weights they belong to, and which numbers they may be."""

import torch
from torch import Tensor

from ..quantize.fp8 import BLOCK, NAN_CODE
from ..quantize.nvfp4 import GROUP


def fp8_scale_shape(scale: tuple[int, ...], weight: tuple[int, ...]) -> tuple[int, ...] | None:
    """A stored scale's shape with as many dimensions as the weight; None if it fits no layout.

    One number is stored as [] or [1], one a row as [N] or [N, 1], one a block as
    [N/128, K/128] or [N/128, 1, K/128, 1]; of a stack, each with its length before.
    """
    number = number_shape(scale, weight)
    if number is not None:
        return number
    *stack, rows, columns = weight
    if scale[: len(stack)] != tuple(stack):
        return None
    rest = scale[len(stack) :]
    if rest in ((rows,), (rows, 1)):
        return (*stack, rows, 1)
    blocks = -(-rows // BLOCK), -(-columns // BLOCK)
    if rest in (blocks, (blocks[0], 1, blocks[1], 1)):
        return (*stack, *blocks)
    return None


def number_shape(number: tuple[int, ...], weight: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape of one number, or one for each of a stack, beside a weight; None if it is not."""
    stack = weight[:-2]
    if number in ((), (1,), (1, 1), stack, (*stack, 1), (*stack, 1, 1)):
        return (*stack, 1, 1)
    return None


def spread(scale: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A scale in a shape; a single number is repeated for every member of a stack."""
    if scale.numel() == 1:
        return scale.reshape([1] * len(shape)).repeat(*shape)
    return scale.reshape(shape)


def are_positive(scale: Tensor) -> bool:
    return bool(((scale > 0) & scale.isfinite()).all())


def holds_nan(codes: Tensor) -> bool:
    """Whether E4M3 bytes hold NaN, of either sign: the largest byte, or the largest int8."""
    largest = int(codes.max()), int(codes.view(torch.int8).max())
    return largest[0] == NAN_CODE + 0x80 or largest[1] == NAN_CODE


def are_block_scales(scales: Tensor, codes: Tensor) -> bool:
    """Whether E4M3 bytes are positive numbers; zero may stand where all codes are zeros too."""
    low, high = map(int, torch.aminmax(scales))
    if high >= NAN_CODE or low > 0:
        return high < NAN_CODE
    blocks = codes.unflatten(-1, (-1, GROUP // 2))[scales == 0]
    return not bool((blocks & 0x77).any())  # the signs of zeros aside
