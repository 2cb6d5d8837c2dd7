"""Weights of a checkpoint that are stored in few bits: found by their tensors, read as parts.

A Linear `X` whose `X.weight` is not a tensor of floats is stored as

    FP8       X.weight F8_E4M3, X.weight_scale (or X.weight_scale_inv, which multiplies too)
    NVFP4     X.weight U8, X.weight_scale F8_E4M3, X.weight_scale_2            (ModelOpt)
              X.weight_packed U8, X.weight_scale F8_E4M3, X.weight_global_scale
                                                                       (compressed-tensors)
    INT8      X.weight I8, X.weight_scale                              (compressed-tensors)
    INT4      X.weight_packed I32, X.weight_scale, X.weight_shape      (compressed-tensors)

`X.input_scale` and `X.input_global_scale` say how activations would be rounded; they are read
past, for products here have unrounded activations. What a weight is, its tensors decide; the
configuration may only not contradict them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import CheckpointError
from ..quantize.declared import ALGORITHMS, DeclaredFormats
from ..quantize.fp8 import BLOCK, NAN_CODE
from ..quantize.nvfp4 import GROUP
from ..quantize.packed import Fp8Weight, Int4Weight, Int8Weight, Nvfp4Weight, PackedWeight
from .shards import ShardReader

_SCALES = ("weight_scale", "weight_scale_2", "weight_scale_inv", "weight_global_scale")
_OF_INPUTS = ("input_scale", "input_global_scale")
_SHAPE = "weight_shape"
_FEW_BITS = ("U8", "I8", "I32", "F8_E4M3", "F8_E5M2")
_PER_CODE = {"NVFP4": 2, "INT4": 8}  # numbers that one element of the file holds
_FLOATS = ("F32", "BF16", "F16", "F64")


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

    def shape(self, reader: ShardReader) -> tuple[int, ...]:
        """Shape of the weight that is stored, by its codes."""
        shape = reader.shape(self.codes)
        return (*shape[:-1], _PER_CODE.get(self.format, 1) * shape[-1])

    def kind(self, reader: ShardReader) -> str:
        """Format and layout in words; weights of one stack must have the same."""
        if self.format == "NVFP4":
            return "NVFP4 of compressed-tensors" if self.divides else "NVFP4 of ModelOpt"
        if self.format == "INT4":
            return f"INT4 with {reader.shape(self.scale)[-1]} scales a row"
        if self.format == "INT8":
            return "INT8"
        scale = _fp8_scale_shape(reader.shape(self.scale), reader.shape(self.codes))
        if scale is None or scale == (1, 1):
            return "FP8 with one scale"
        return "FP8 with a scale a row" if scale[1] == 1 else "FP8 with a scale a block"

    def complaint(self, reader: ShardReader, shape: tuple[int, ...]) -> str | None:
        """What is wrong with its tensors for a weight of that shape; None if nothing is."""
        if self.format == "NVFP4" and shape[-1] % GROUP:
            return f"{self.name} has {shape[-1]} columns, which NVFP4 cannot hold (16 a block)"
        if self.shape(reader) != shape:
            return f"{self.codes} holds {list(self.shape(reader))} but should {list(shape)}"
        found = reader.shape(self.scale)
        if self.format == "INT8":
            if found not in ((shape[0],), (shape[0], 1)):
                return f"{self.scale} is {list(found)} but should be {[shape[0], 1]}"
        elif self.format == "INT4":
            groups = found[-1] if len(found) == 2 else 0
            if not groups or found[0] != shape[0] or shape[1] % groups:
                return f"{self.scale} is {list(found)}, which fits no groups of {list(shape)}"
        elif self.format == "NVFP4":
            wanted = (shape[0], shape[1] // GROUP)
            if found != wanted:
                return f"{self.scale} is {list(found)} but should be {list(wanted)}"
            single = self.tensor_scale
            assert single is not None
            if reader.shape(single) not in ((), (1,), (1, 1)):
                return f"{single} is {list(reader.shape(single))} but should be one number"
        elif _fp8_scale_shape(found, shape) is None:
            return f"{self.scale} is {list(found)}, which fits no layout of FP8 {list(shape)}"
        return None

    def read(self, reader: ShardReader, device: torch.device | str) -> dict[str, Tensor]:
        """The buffers of a packed weight, on a device.

        Raises:
            CheckpointError: a scale is NaN, infinite or zero.
        """
        codes = reader.tensor(self.codes)
        codes = codes if self.format == "INT8" else codes.contiguous().view(torch.uint8)
        scale = reader.tensor(self.scale)
        if self.format.startswith("INT"):
            by_row = self.format == "INT8"
            parts = {"codes": codes, "scale": scale.float().view(-1, 1) if by_row else scale}
            self._check(bool(torch.isfinite(parts["scale"]).all()), self.scale)
        elif self.tensor_scale is None:
            shape = _fp8_scale_shape(tuple(scale.shape), tuple(codes.shape))
            assert shape is not None
            parts = {"codes": codes, "scale": scale.float().reshape(shape)}
            self._check(bool(torch.isfinite(parts["scale"]).all()), self.scale)
        else:
            single = reader.tensor(self.tensor_scale).float().reshape(1, 1)
            parts = {"codes": codes, "block_scales": scale.view(torch.uint8)}
            parts["tensor_scale"] = single
            is_number = bool((parts["block_scales"] & 0x7F != NAN_CODE).all())
            self._check(is_number, self.scale)
            self._check(bool(torch.isfinite(single)) and bool(single), self.tensor_scale)
        return {name: part.to(device) for name, part in parts.items()}

    def packed(self, parts: Mapping[str, Tensor]) -> PackedWeight:
        """The packed weight of such buffers, or of stacks of them."""
        plain = {"FP8": Fp8Weight, "INT8": Int8Weight, "INT4": Int4Weight}
        if self.format in plain:
            return plain[self.format](parts)
        return Nvfp4Weight(parts, divides=self.divides)

    def _check(self, is_fine: bool, name: str) -> None:
        if not is_fine:
            raise CheckpointError(f"{name} holds a scale that is no usable number.")


def find_stored_weights(
    reader: ShardReader, declared: DeclaredFormats | None = None
) -> dict[str, StoredWeight]:
    """Every weight that is not stored in floats, by the name "X.weight".

    Raises:
        CheckpointError: a weight of few bits has no scale, a scale no such weight, or the
            configuration says otherwise.
    """
    modules: dict[str, dict[str, str]] = {}
    for name in reader.files:
        module, _, leaf = name.rpartition(".")
        if leaf in ("weight", "weight_packed", _SHAPE, *_SCALES, *_OF_INPUTS):
            modules.setdefault(module, {})[leaf] = name
    found: dict[str, StoredWeight] = {}
    for module, parts in modules.items():
        stored = _stored_weight(reader, module, parts)
        if stored is None:
            continue
        algorithm = None if declared is None else declared.algorithm_of(module)
        if declared and algorithm and ALGORITHMS[algorithm] != stored.format:
            raise CheckpointError(
                f"{module} is stored in {stored.format}, but {declared.source} says {algorithm}."
            )
        found[stored.name] = stored
    return found


def _stored_weight(
    reader: ShardReader, module: str, parts: Mapping[str, str]
) -> StoredWeight | None:
    """The weight that the tensors of a module make; None if it is one of floats."""
    codes = parts.get("weight_packed") or parts.get("weight")
    scales = [parts[leaf] for leaf in _SCALES if leaf in parts]
    if codes is None:
        if scales:
            raise CheckpointError(f"{scales[0]} is a scale, but there is no {module}.weight.")
        return None
    kind = reader.dtype(codes)
    if kind not in _FEW_BITS:
        if scales:
            raise CheckpointError(f"{scales[0]} is a scale, but {codes} is {kind}, not quantized.")
        return None

    def scale(*leaves: str) -> str:
        for leaf in leaves:
            if leaf in parts:
                return parts[leaf]
        raise CheckpointError(
            f"{codes} is {kind}, quantized, but {module}.{leaves[0]} is missing, and without it "
            "its values are unknown."
        )

    others = tuple(parts[leaf] for leaf in (*_OF_INPUTS, _SHAPE) if leaf in parts)
    name = f"{module}.weight"
    if kind == "F8_E4M3" and "weight_packed" not in parts:
        stored = StoredWeight(
            name=name,
            format="FP8",
            codes=codes,
            scale=scale("weight_scale", "weight_scale_inv"),
            others=others,
        )
        kinds = {stored.scale: _FLOATS}
    elif kind == "U8":
        divides = "weight_packed" in parts
        single = scale("weight_global_scale" if divides else "weight_scale_2")
        stored = StoredWeight(
            name=name,
            format="NVFP4",
            divides=divides,
            codes=codes,
            scale=scale("weight_scale"),
            tensor_scale=single,
            others=others,
        )
        kinds = {stored.scale: ("F8_E4M3",), single: _FLOATS}
    elif (kind, "weight_packed" in parts) in (("I8", False), ("I32", True)):
        stored = StoredWeight(
            name=name,
            format="INT8" if kind == "I8" else "INT4",
            codes=codes,
            scale=scale("weight_scale"),
            others=others,
        )
        kinds = {stored.scale: _FLOATS}
    else:
        raise CheckpointError(f"{codes} is {kind}, a quantized format that cannot be read.")
    for part, wanted in kinds.items():
        if reader.dtype(part) not in wanted:
            raise CheckpointError(
                f"{part} is {reader.dtype(part)}, but a scale of {stored.format} there is "
                f"{' or '.join(wanted)}."
            )
    unused = [each for each in scales if each not in stored.names]
    if unused:
        raise CheckpointError(f"{unused[0]} is no part of {stored.format}, which {codes} is in.")
    return stored


def _fp8_scale_shape(scale: tuple[int, ...], weight: tuple[int, ...]) -> tuple[int, int] | None:
    """A stored scale's shape as two dimensions; None if it fits no layout.

    One number is stored as [] or [1], one a row as [N] or [N, 1], one a block as
    [N/128, K/128] or [N/128, 1, K/128, 1].
    """
    rows, columns = weight
    if scale in ((), (1,), (1, 1)):
        return 1, 1
    if scale in ((rows,), (rows, 1)):
        return rows, 1
    blocks = -(-rows // BLOCK), -(-columns // BLOCK)
    if scale in (blocks, (blocks[0], 1, blocks[1], 1)):
        return blocks
    return None
