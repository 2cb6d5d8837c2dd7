"""Weights that stay packed in memory and are widened matrix by matrix, as they are used.

A packed weight stands where a parameter stood: `(N, K)`, or `(E, N, K)` for the experts of a
layer, of which only those that are hit are widened. It holds buffers, so it moves with its
model, but changes of the model's number format pass it by. It computes no gradients for itself.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from .fp8 import dequantize_fp8, spread_rows
from .int4 import dequantize_int4
from .int8 import dequantize_int8
from .nvfp4 import GROUP, Nvfp4, dequantize_nvfp4
from .spelling import Spelling


class PackedWeight(nn.Module):
    """Base of the formats; a stack has one dimension more in every buffer.

    Attributes:
        format: what it is called in reports.
        shape: of the weight that it stands for.
        spellings: how it lies in the file it came from, for each expert if that has them apart;
            none if it came from no file.
    """

    format: ClassVar[str]
    codes: Tensor

    def __init__(self, parts: Mapping[str, Tensor]) -> None:
        """`parts` are the buffers, by name."""
        super().__init__()
        for name, part in parts.items():
            self.register_buffer(name, part)
        self.spellings: Mapping[int | None, Spelling] = {}

    @property
    def shape(self) -> torch.Size:
        return self.codes.shape

    @property
    def device(self) -> torch.device:
        return self.codes.device

    @property
    def num_bytes(self) -> int:
        """Bytes held, scales included."""
        return sum(buffer.nbytes for buffer in self.buffers())

    def matrix(
        self,
        expert: int | None = None,
        rows: slice = slice(None),  # noqa: B008 (it cannot be changed)
        *,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Rows of the weight, or of one expert of a stack, widened: computed in float32."""
        parts = {
            name: buffer if expert is None else buffer[expert]
            for name, buffer in self.named_buffers()
        }
        return self._widen(parts, rows).to(dtype)

    def experts(self, dtype: torch.dtype) -> "ExpertMatrices":
        """The matrices of a stack, each widened when it is asked for."""
        return ExpertMatrices(self, dtype)

    def extra_repr(self) -> str:
        return f"{self.format}, shape={tuple(self.shape)}"

    def _widen(self, parts: Mapping[str, Tensor], rows: slice) -> Tensor:
        raise NotImplementedError

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "PackedWeight":
        """Moves reach the buffers, changes of their number format do not."""

        def move(buffer: Tensor) -> Tensor:
            moved = fn(buffer)
            return moved if moved.dtype == buffer.dtype else buffer.to(moved.device)

        return super()._apply(move, recurse)


class ExpertMatrices:
    """`stack[expert]` is that expert's weight in a number format."""

    def __init__(self, stack: PackedWeight, dtype: torch.dtype) -> None:
        self._stack = stack
        self._dtype = dtype

    def __len__(self) -> int:
        return self._stack.shape[0]

    def __getitem__(self, expert: int) -> Tensor:
        return self._stack.matrix(expert, dtype=self._dtype)


class Fp8Weight(PackedWeight):
    """`codes` and `scale` as `fp8.quantize_fp8` gives them."""

    format = "FP8"
    scale: Tensor

    def _widen(self, parts: Mapping[str, Tensor], rows: slice) -> Tensor:
        scale = spread_rows(parts["scale"], parts["codes"].shape[-2])
        return dequantize_fp8(parts["codes"][rows], scale if len(scale) == 1 else scale[rows])


class Nvfp4Weight(PackedWeight):
    """`codes`, `block_scales` and `tensor_scale` as in `nvfp4.Nvfp4`."""

    format = "NVFP4"
    block_scales: Tensor
    tensor_scale: Tensor

    def __init__(self, parts: Mapping[str, Tensor], *, divides: bool = False) -> None:
        super().__init__(parts)
        self.divides = divides

    @property
    def shape(self) -> torch.Size:
        return torch.Size([*self.codes.shape[:-1], self.block_scales.shape[-1] * GROUP])

    def _widen(self, parts: Mapping[str, Tensor], rows: slice) -> Tensor:
        return dequantize_nvfp4(
            Nvfp4(
                codes=parts["codes"][rows],
                block_scales=parts["block_scales"][rows],
                tensor_scale=parts["tensor_scale"],
                divides=self.divides,
            )
        )


class Int8Weight(PackedWeight):
    """`codes` and `scale` as `int8.quantize_int8` gives them.

    The published name of experts in it is ExpertsInt8 (arXiv:2408.12570): they are most of the
    weights of a sparse model and least of its work, so they alone are made small.
    """

    format = "INT8"
    scale: Tensor

    def _widen(self, parts: Mapping[str, Tensor], rows: slice) -> Tensor:
        return dequantize_int8(parts["codes"][rows], parts["scale"][rows])


class Int4Weight(PackedWeight):
    """`codes` and `scale` as `int4.quantize_int4` gives them."""

    format = "INT4"
    scale: Tensor

    @property
    def shape(self) -> torch.Size:
        return torch.Size([*self.codes.shape[:-1], 2 * self.codes.shape[-1]])

    def _widen(self, parts: Mapping[str, Tensor], rows: slice) -> Tensor:
        return dequantize_int4(parts["codes"][rows], parts["scale"][rows])
