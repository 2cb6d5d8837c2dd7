"""Weights that stay packed in memory and are widened matrix by matrix, as they are used.

A packed weight stands where a parameter stood: `(N, K)`, or `(E, N, K)` for the experts of a
layer, of which only those that are hit are widened. It holds buffers, so it moves with its
model, but changes of the model's number format pass it by. It computes no gradients for itself.
"""

import math
from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from .fp8 import BLOCK, dequantize_fp8, spread_rows
from .int4 import dequantize_int4
from .int8 import dequantize_int8
from .nvfp4 import GROUP, Nvfp4, dequantize_nvfp4
from .spelling import Spelling
from .tiles import E2M1_UNIT, E4M3_UNIT, Piece


class PackedWeight(nn.Module):
    """Base of the formats; a stack has one dimension more in every buffer.

    Attributes:
        format: what it is called in reports; tile_kind: how `tiles` widens it, if at all.
        shape: of the weight that it stands for.
        spellings: how it lies in the file it came from, for each expert if that has them apart;
            none if it came from no file.
    """

    format: ClassVar[str]
    tile_kind: ClassVar[str | None] = None
    codes: Tensor

    def __init__(self, parts: Mapping[str, Tensor]) -> None:
        """`parts` are the buffers, by name."""
        super().__init__()
        for name, part in parts.items():
            self.register_buffer(name, part)
        self.spellings: Mapping[int | None, Spelling] = {}
        self._cut_of: Tensor | None = None
        self._cut: dict[tuple[int | None, int], tuple[Piece, ...]] = {}

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
        return self._widen(self._parts(expert), rows).to(dtype)

    def pieces(self, expert: int | None, size: int) -> tuple[Piece, ...]:
        """A matrix as rows of at most `size` numbers each, kept until the weight is moved."""
        if self._cut_of is not self.codes:
            self._cut_of, self._cut = self.codes, {}
        key = expert, size
        if key not in self._cut:
            num_rows, columns = self.shape[-2:]
            step, parts = max(1, size // columns), self._parts(expert)
            starts = range(0, num_rows, step)
            self._cut[key] = tuple(
                self._piece(parts, slice(start, min(start + step, num_rows))) for start in starts
            )
        return self._cut[key]

    def _parts(self, expert: int | None) -> dict[str, Tensor]:
        buffers = dict(self.named_buffers())
        if expert is None:
            return buffers
        return {name: buffer[expert] for name, buffer in buffers.items()}

    def extra_repr(self) -> str:
        return f"{self.format}, shape={tuple(self.shape)}"

    def _widen(self, parts: Mapping[str, Tensor], rows: slice) -> Tensor:
        raise NotImplementedError

    def _piece(self, parts: Mapping[str, Tensor], rows: slice) -> Piece:
        raise NotImplementedError

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "PackedWeight":
        """Moves reach the buffers, changes of their number format do not."""

        def move(buffer: Tensor) -> Tensor:
            moved = fn(buffer)
            return moved if moved.dtype == buffer.dtype else buffer.to(moved.device)

        return super()._apply(move, recurse)


class Fp8Weight(PackedWeight):
    """`codes` and `scale` as `fp8.quantize_fp8` gives them."""

    format = "FP8"
    tile_kind = "e4m3"
    scale: Tensor

    def _widen(self, parts: Mapping[str, Tensor], rows: slice) -> Tensor:
        scale = spread_rows(parts["scale"], parts["codes"].shape[-2])
        return dequantize_fp8(parts["codes"][rows], scale if len(scale) == 1 else scale[rows])

    def _piece(self, parts: Mapping[str, Tensor], rows: slice) -> Piece:
        codes, scale = parts["codes"][rows].view(torch.int8), parts["scale"] * E4M3_UNIT
        if scale.shape[-1] == 1 and len(scale) in (1, len(parts["codes"])):
            factor = scale if len(scale) == 1 else scale[rows]
            return Piece(rows=rows, codes=codes, factor=factor[:, 0])
        # groups of a row are alike: blocks, or parts of them where the last one is narrower
        num_rows, columns = parts["codes"].shape
        group = math.gcd(columns, BLOCK)
        steps = scale.repeat_interleave(BLOCK // group, dim=-1)[:, : columns // group]
        return Piece(rows=rows, codes=codes, steps=spread_rows(steps, num_rows)[rows])


class Nvfp4Weight(PackedWeight):
    """`codes`, `block_scales` and `tensor_scale` as in `nvfp4.Nvfp4`."""

    format = "NVFP4"
    tile_kind = "nvfp4"
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

    def _piece(self, parts: Mapping[str, Tensor], rows: slice) -> Piece:
        whole = parts["tensor_scale"].flatten()
        units = E2M1_UNIT * E4M3_UNIT
        return Piece(
            rows=rows,
            codes=_words(parts["codes"][rows]),
            steps=parts["block_scales"][rows].view(torch.int8),
            factor=units / whole if self.divides else whole * units,
        )


class Int8Weight(PackedWeight):
    """`codes` and `scale` as `int8.quantize_int8` gives them.

    The published name of experts in it is ExpertsInt8 (arXiv:2408.12570): they are most of the
    weights of a sparse model and least of its work, so they alone are made small.
    """

    format = "INT8"
    tile_kind = "int8"
    scale: Tensor

    def _widen(self, parts: Mapping[str, Tensor], rows: slice) -> Tensor:
        return dequantize_int8(parts["codes"][rows], parts["scale"][rows])

    def _piece(self, parts: Mapping[str, Tensor], rows: slice) -> Piece:
        return Piece(rows=rows, codes=parts["codes"][rows], factor=parts["scale"][rows, 0])


class Int4Weight(PackedWeight):
    """`codes` and `scale` as `int4.quantize_int4` gives them."""

    format = "INT4"
    tile_kind = "int4"
    scale: Tensor

    @property
    def shape(self) -> torch.Size:
        return torch.Size([*self.codes.shape[:-1], 2 * self.codes.shape[-1]])

    def _widen(self, parts: Mapping[str, Tensor], rows: slice) -> Tensor:
        return dequantize_int4(parts["codes"][rows], parts["scale"][rows])

    def _piece(self, parts: Mapping[str, Tensor], rows: slice) -> Piece:
        return Piece(rows=rows, codes=_words(parts["codes"][rows]), steps=parts["scale"][rows])


def _words(codes: Tensor) -> Tensor:
    """Bytes `(R, K/2)` as pairs `(R, K/4)`; where they begin at an odd place, of a copy."""
    return (codes.clone() if codes.storage_offset() % 2 else codes).view(torch.uint16)
