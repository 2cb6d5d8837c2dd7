"""Codes to float32 in buffers that are used again: how a CPU widens weights as it multiplies.

The same numbers as `fp8.decode_e4m3`, `nvfp4.decode_e2m1` and `int4` give, some three times as
fast, because nothing is allocated, each pass does several codes at once, and all views are made
beforehand:

    E4M3        the bits, moved to where float16 has them, are the number times 2^-8
    4 bits      one look-up fetches the four numbers of two bytes, as int8

A piece is some rows of one matrix, on the side of the weight; buffers are for so many pieces of
one shape, filled one beside the other. Letters: R rows of a piece, K columns.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from .nvfp4 import SIZES

E2M1_UNIT = 0.5  # of what is put for E2M1
E4M3_UNIT = 256.0  # of what is put for E4M3: its exponents are biased by 7, of float16 by 15
_NO_SECOND_SIGN = -0x4001  # all bits of an int16 but the copy of the sign that the shift leaves
_of_thread = threading.local()


@dataclass(frozen=True, kw_only=True, eq=False)
class Piece:
    """Some rows of a matrix.

    Attributes:
        rows: which of the matrix they are.
        codes: of E4M3 int8 `(R, K)`, of INT8 the same, of 4 bits uint16 `(R, K/4)`.
        steps: what codes of a group are multiplied by, `(R, groups)`: int8 if they are E4M3.
        factor: what products are multiplied by, float32 `(R)` or `(1)`.
    """

    rows: slice
    codes: Tensor
    steps: Tensor | None = None
    factor: Tensor | None = None


class Buffers:
    """Float32 places for `count` pieces of `rows` rows, and what is needed to fill them.

    Attributes:
        tile: `(count * rows, K)`; tiles: `(count, rows, K)`, the same.
    """

    def __init__(self, count: int, rows: int, columns: int, groups: int, kind: str) -> None:
        total = count * rows
        self.flat = _part("tile", total * columns, torch.float32)
        self.tile = self.flat.view(total, columns)
        self.tiles = self.tile.view(count, rows, columns)
        self.tile_t = self.tile.t()
        self.kind = kind
        self.codes: Sequence[Tensor] = self.tiles.unbind()
        if kind == "e4m3":
            self.halves, self.bits, self.codes = _halves("halves", count, rows, columns)
        elif kind != "int8":
            self.at = _part("at", total * columns // 4, torch.int32)
            self.codes = self.at.view(count, rows, columns // 4).unbind()
            self.found = _part("found", total * columns // 4, torch.int32)
            self.numbers = self.found.view(torch.int8)
            self.table = _table(kind)
        if groups:
            self.steps = _part("steps", total * groups, torch.float32)
            self.groups = self.tile.view(total * groups, -1)
            self.step_column = self.steps.view(-1, 1)
            self.step_codes: Sequence[Tensor] = self.steps.view(count, rows, groups).unbind()
            if kind == "nvfp4":
                made = _halves("step halves", count, rows, groups)
                self.step_halves, self.step_bits, self.step_codes = made

    def fill(self, pieces: Sequence[Piece]) -> None:
        """Put the pieces there, up to their factors."""
        for place, piece in zip(self.codes, pieces, strict=True):
            place.copy_(piece.codes)
        if self.kind == "e4m3":
            self.flat.copy_(_shifted(self.bits, self.halves))
        elif self.kind != "int8":
            torch.index_select(self.table, 0, self.at, out=self.found)
            self.flat.copy_(self.numbers)
        if pieces[0].steps is None:
            return
        for place, piece in zip(self.step_codes, pieces, strict=True):
            assert piece.steps is not None
            place.copy_(piece.steps)
        if self.kind == "nvfp4":
            self.steps.copy_(_shifted(self.step_bits, self.step_halves))
        self.groups.mul_(self.step_column)


def buffers(count: int, rows: int, columns: int, groups: int, kind: str) -> Buffers:
    """This thread's buffers of that shape; each is overwritten by the next that is filled.

    Args:
        groups: that a row has steps for, or 0.
        kind: "e4m3", "int8", "int4" or "nvfp4".
    """
    made = _of_thread.__dict__.setdefault("made", {})
    key = count, rows, columns, groups, kind
    if key not in made:
        with torch.inference_mode(False):  # they are written outside of inference mode too
            made[key] = Buffers(*key)
    return made[key]


def _part(name: str, size: int, dtype: torch.dtype) -> Tensor:
    """The first so many elements of this thread's buffer of that name.

    A larger one takes its place where it is too small; buffers made before keep the old one.
    """
    kept = _of_thread.__dict__.setdefault("kept", {})
    if name not in kept or kept[name].numel() < size:
        kept[name] = torch.empty(size, dtype=dtype)
    return kept[name][:size]


def _halves(
    name: str, count: int, rows: int, columns: int
) -> tuple[Tensor, Tensor, Sequence[Tensor]]:
    """A row of float16, the same as int16, and there the places of pieces."""
    bits = _part(name, count * rows * columns, torch.int16)
    return bits.view(torch.float16), bits, bits.view(count, rows, columns).unbind()


def _shifted(bits: Tensor, halves: Tensor) -> Tensor:
    """Bytes of E4M3 in int16 become float16 in `E4M3_UNIT`, in place."""
    bits.__ilshift__(7).bitwise_and_(_NO_SECOND_SIGN)
    return halves


@cache
def _table(kind: str) -> Tensor:
    """For each two bytes their four numbers, as int8 in one int32.

    Of NVFP4 they are in `E2M1_UNIT`; of INT4 they are the codes less 8.
    """
    if kind == "int4":
        values = torch.arange(-8, 8, dtype=torch.int8)
    else:
        sizes = torch.tensor([*SIZES, *(-size for size in SIZES)])
        values = (sizes / E2M1_UNIT).to(torch.int8)
    words = torch.arange(1 << 16)
    codes = torch.stack([(words >> shift) & 15 for shift in (0, 4, 8, 12)], -1)
    return values[codes].contiguous().view(torch.int32)[:, 0]
