"""A weight that is stored in few bits: checked, and read as the parts it is made of.

A Linear `X` whose `X.weight` is not a tensor of floats is stored as

    FP8       X.weight F8_E4M3, X.weight_scale (or X.weight_scale_inv, which multiplies too)
    NVFP4     X.weight U8, X.weight_scale F8_E4M3, X.weight_scale_2            (ModelOpt)
              X.weight_packed U8, X.weight_scale F8_E4M3, X.weight_global_scale
                                                                       (compressed-tensors)
    INT8      X.weight I8, X.weight_scale                              (compressed-tensors)
    INT4      X.weight_packed I32, X.weight_scale, X.weight_shape      (compressed-tensors)

`X.input_scale` and `X.input_global_scale` say how activations would be rounded; they are kept
to be written back and nothing else, for products here have unrounded activations.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...errors import CheckpointError
from ..quantize.fp8 import BLOCK
from ..quantize.nvfp4 import GROUP
from ..quantize.packed import Fp8Weight, Int4Weight, Int8Weight, Nvfp4Weight, PackedWeight
from ..quantize.spelling import Spelling, StoredPart
from .scale_layouts import (
    are_block_scales,
    are_positive,
    fp8_scale_shape,
    holds_nan,
    number_shape,
    spread,
)
from .shards import ShardReader, Tensors

_PER_CODE = {"NVFP4": 2, "INT4": 8}  # numbers that one element of the file holds


@dataclass(frozen=True, kw_only=True)
class StoredWeight:
    """One weight and the tensors it is kept in.

    Attributes:
        name: "X.weight", whatever its tensors are called.
        format: "FP8", "NVFP4", "INT8" or "INT4".
        divides: of NVFP4, as in `nvfp4.Nvfp4`.
        codes, scale, tensor_scale: names of its tensors.
        others: tensors that belong to it and are not read.
    """

    name: str
    format: str
    divides: bool = False
    codes: str
    scale: str
    tensor_scale: str | None = None
    others: tuple[str, ...] = ()

    @property
    def weight_names(self) -> list[str]:
        """The tensors that it is made of."""
        return [name for name in (self.codes, self.scale, self.tensor_scale) if name]

    @property
    def names(self) -> list[str]:
        """Every tensor of the file that it takes up."""
        return [*self.weight_names, *self.others]

    def shape(self, reader: Tensors) -> tuple[int, ...]:
        """Shape of the weight that is stored, by its codes."""
        shape = reader.shape(self.codes)
        return (*shape[:-1], _PER_CODE.get(self.format, 1) * shape[-1])

    def kind(self, reader: ShardReader) -> str:
        """Format and layout in words; weights of one stack must have the same."""
        if self.format == "NVFP4":
            return "NVFP4 of compressed-tensors" if self.divides else "NVFP4 of ModelOpt"
        if self.format.startswith("INT"):  # groups of INT4 fit the width, so ups and downs differ
            return self.format
        scale = fp8_scale_shape(reader.shape(self.scale), reader.shape(self.codes))
        if scale is None or scale[-2:] == (1, 1):
            return "FP8 with one scale"
        return "FP8 with a scale a row" if scale[-1] == 1 else "FP8 with a scale a block"

    def complaint(self, reader: ShardReader, shape: tuple[int, ...]) -> str | None:
        """What is wrong with its tensors for a weight of that shape; None if nothing is."""
        if self.format == "NVFP4" and shape[-1] % GROUP:
            return f"{self.name} has {shape[-1]} columns, which NVFP4 cannot hold (16 a block)"
        if self.shape(reader) != shape:
            return f"{self.codes} holds {list(self.shape(reader))} but should {list(shape)}"
        found = reader.shape(self.scale)
        if self.format == "INT8":
            if fp8_scale_shape(found, shape) != (*shape[:-1], 1):
                return f"{self.scale} is {list(found)} but should be {[*shape[:-1], 1]}"
        elif self.format == "INT4":
            groups = found[-1] if found[:-1] == shape[:-1] else 0
            if not groups or shape[-1] % groups:
                return f"{self.scale} is {list(found)}, which fits no groups of {list(shape)}"
        elif self.format == "NVFP4":
            wanted = (*shape[:-1], shape[-1] // GROUP)
            if found != wanted:
                return f"{self.scale} is {list(found)} but should be {list(wanted)}"
            single = self.tensor_scale
            assert single is not None
            if number_shape(reader.shape(single), shape) is None:
                many = f"one number, or {shape[0]}" if len(shape) > 2 else "one number"
                return f"{single} is {list(reader.shape(single))} but should be {many}"
        elif fp8_scale_shape(found, shape) is None:
            return f"{self.scale} is {list(found)}, which fits no layout of FP8 {list(shape)}"
        return None

    def read(self, reader: Tensors, device: torch.device | str) -> dict[str, Tensor]:
        """The buffers of a packed weight, on a device.

        Raises:
            CheckpointError: a scale is NaN, infinite, negative or zero, or a code of FP8 is NaN.
        """
        codes = reader.tensor(self.codes)
        codes = codes if self.format == "INT8" else codes.contiguous().view(torch.uint8)
        scale = reader.tensor(self.scale)
        shape = self.shape(reader)
        if self.format == "INT4":
            parts = {"codes": codes, "scale": scale}
            self._require(are_positive(scale), self.scale)
        elif self.tensor_scale is None:
            layout = fp8_scale_shape(tuple(scale.shape), shape)
            assert layout is not None
            parts = {"codes": codes, "scale": spread(scale.float(), layout)}
            self._require(are_positive(parts["scale"]), self.scale)
            if self.format == "FP8" and holds_nan(codes):
                raise CheckpointError(
                    f"{self.codes} holds NaN: the file is damaged, or its quantization failed; "
                    "copy or download it again."
                )
        else:
            single = reader.tensor(self.tensor_scale).float()
            layout = number_shape(tuple(single.shape), shape)
            assert layout is not None
            parts = {"codes": codes, "block_scales": scale.view(torch.uint8)}
            parts["tensor_scale"] = spread(single, layout)
            self._require(are_block_scales(parts["block_scales"], codes), self.scale)
            self._require(are_positive(single), self.tensor_scale)
        return {name: part.to(device) for name, part in parts.items()}

    def spelling(self, reader: ShardReader) -> Spelling:
        """How it lies in the file; of two halves, the upper one has what belongs to both."""
        buffers = {"codes": self.codes, "scale": self.scale}
        if self.tensor_scale is not None:
            buffers = {"codes": self.codes, "block_scales": self.scale}
            buffers["tensor_scale"] = self.tensor_scale
        of_codes = reader.half(self.codes)
        is_lower = of_codes is not None and of_codes.half == 1
        parts = {}
        for buffer, name in buffers.items():
            half = reader.half(name)
            if half is None and is_lower:
                continue
            parts[buffer] = StoredPart(
                name=half.whole if half else name,
                shape=reader.shape(name),
                dtype=reader.tensor(name).dtype,
                joined=half.dim if half else None,
            )
        beside = {} if is_lower else {name: reader.tensor(name).clone() for name in self.others}
        return Spelling(parts=parts, beside=beside)

    def packed(self, parts: Mapping[str, Tensor]) -> PackedWeight:
        """The packed weight of such buffers, or of stacks of them."""
        plain = {"FP8": Fp8Weight, "INT8": Int8Weight, "INT4": Int4Weight}
        if self.format in plain:
            return plain[self.format](parts)
        return Nvfp4Weight(parts, divides=self.divides)

    def halves(self, reader: ShardReader, names: tuple[str, str]) -> list["StoredWeight"]:
        """The weight as two, the upper and the lower half of its rows.

        Raises:
            CheckpointError: a block of FP8 has rows of both.
        """
        *stack, rows, _ = self.shape(reader)
        split = {self.codes}
        if self.format != "FP8":
            split.add(self.scale)
        else:
            layout = fp8_scale_shape(reader.shape(self.scale), self.shape(reader))
            if layout is not None and layout[-2] not in (1, rows) and rows // 2 % BLOCK:
                raise CheckpointError(
                    f"{self.scale} has scales for blocks of {BLOCK} rows, but one of them has rows "
                    f"of both of the weights of {rows // 2} rows that {self.codes} is made of."
                )
            if layout is not None and layout[-2] != 1:
                split.add(self.scale)
        spelled = [{whole: whole for whole in self.weight_names} for _ in names]
        for whole in split:
            into = (f"{names[0]}: {whole}", f"{names[1]}: {whole}")
            reader.halve(whole, into, dim=len(stack))
            for each, half in zip(spelled, into, strict=True):
                each[whole] = half
        return [
            replace(
                self,
                name=name,
                codes=each[self.codes],
                scale=each[self.scale],
                tensor_scale=self.tensor_scale and each[self.tensor_scale],
            )
            for name, each in zip(names, spelled, strict=True)
        ]

    def _require(self, is_fine: bool, name: str) -> None:
        if not is_fine:
            raise CheckpointError(
                f"{name} holds a scale that is no positive number: the file is damaged, or what "
                "wrote it failed."
            )
