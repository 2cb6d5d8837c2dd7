"""Checkpoint files read and written with plain reads and writes, so memory stays bounded.

Mapping a file is faster where memory is plenty; but its pages count as the process's own, and
under a limit of address space a checkpoint larger than it could not even be opened.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...data.processor_files import write_json
from ...errors import CheckpointError
from ..checkpoint.shards import BYTES_PER_VALUE, INDEX_FILE, SINGLE_FILE, ShardReader

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
_MAX_HEADER = 1 << 30
COPIED_AT_ONCE = 16 << 20


@dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """A tensor of a file before it is there."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def num_bytes(self) -> int:
        return prod(self.shape) * BYTES_PER_VALUE[self.dtype]


class StreamReader(ShardReader):
    """A `ShardReader` that maps nothing: each tensor, or row of a stack, is read when asked for."""

    def _handle(self, path: Path) -> Any:
        if path not in self._open:
            self._open[path] = PlainFile(path)  # type: ignore[assignment]  # used like one
        return self._open[path]

    def row(self, name: str, index: int) -> Tensor:
        """One matrix of a stack `(E, N, K)`, of which nothing else is read."""
        row = self._slice(name).row(index)
        if name not in self._halves:
            return row
        _, half, dim = self._halves[name]
        return row.chunk(2, dim if dim < 0 else dim - 1)[half]

    def whole(self, names: Sequence[str]) -> str | None:
        """The tensor that these are, one over the other: itself, or two halves; None if neither."""
        if len(names) == 1:
            return None if names[0] in self._halves else names[0]
        halves = [self._halves.get(name) for name in names]
        whole = halves[0] and halves[0].whole
        order = [(half.whole, half.half) for half in halves if half]
        return whole if order == [(whole, 0), (whole, 1)] else None

    def chunks(self, names: Sequence[str]) -> Iterator[Tensor]:
        """The numbers of the tensor that `whole` finds, some megabytes at a time."""
        whole, handle = self.whole(names), self._handle(self.files[names[0]])
        assert isinstance(handle, PlainFile) and whole is not None
        yield from handle.chunks(whole)


class PlainFile:
    """A safetensors file; the part of `safe_open` that `ShardReader` uses."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                length = int.from_bytes(file.read(8), "little")
                if not 0 < length <= min(size - 8, _MAX_HEADER):
                    raise ValueError(f"its header claims {length} bytes of {size}")
                header = json.loads(file.read(length))
            header.pop("__metadata__", None)
            self._start = 8 + length
            for name, entry in header.items():
                first, last = entry["data_offsets"]
                wanted = prod(entry["shape"]) * BYTES_PER_VALUE[entry["dtype"]]
                if last - first != wanted or self._start + last > size:
                    raise ValueError(f"{name} does not fit into it; it may be cut short")
        except FileNotFoundError as error:
            raise CheckpointError(
                f"{path.parent} lacks the shard {path.name} that its index names; "
                "copy or download it again."
            ) from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{path} is not a readable safetensors file: {error}.") from error
        self._header: dict[str, Any] = header

    def keys(self) -> Iterable[str]:
        return self._header.keys()

    def get_slice(self, name: str) -> "PlainSlice":
        if name not in self._header:
            raise CheckpointError(f"{self.path} does not hold {name}, though its index says so.")
        return PlainSlice(self, name)

    def get_tensor(self, name: str) -> Tensor:
        return self.get_slice(name)[...]

    def entry(self, name: str) -> Any:
        return self._header[name]

    def read(self, name: str, first: int, count: int) -> Tensor:
        """`count` bytes of a tensor from its byte `first` on, as uint8."""
        buffer = torch.empty(count, dtype=torch.uint8)
        with self.path.open("rb", buffering=0) as file:
            file.seek(self._start + self._header[name]["data_offsets"][0] + first)
            view, done = memoryview(buffer.numpy().data), 0
            while done < count:
                got = file.readinto(view[done:])
                if not got:
                    raise CheckpointError(f"{self.path} ends before {name} does.")
                done += got
        return buffer

    def chunks(self, name: str) -> Iterator[Tensor]:
        begin, end = self._header[name]["data_offsets"]
        for first in range(0, end - begin, COPIED_AT_ONCE):
            count = min(COPIED_AT_ONCE, end - begin - first)
            yield self.read(name, first, count).view(DTYPES[self._header[name]["dtype"]])


class PlainSlice:
    """A tensor of a file that is not read yet."""

    def __init__(self, file: PlainFile, name: str) -> None:
        self._file, self._name, self._entry = file, name, file.entry(name)

    def get_shape(self) -> list[int]:
        return self._entry["shape"]

    def get_dtype(self) -> str:
        return self._entry["dtype"]

    def __getitem__(self, index: Any) -> Tensor:
        first, last = self._entry["data_offsets"]
        whole = self._file.read(self._name, 0, last - first)
        return whole.view(DTYPES[self.get_dtype()]).view(self.get_shape())[index]

    def row(self, index: int) -> Tensor:
        first, last = self._entry["data_offsets"]
        each = (last - first) // self.get_shape()[0]
        part = self._file.read(self._name, index * each, each)
        return part.view(DTYPES[self.get_dtype()]).view(self.get_shape()[1:])


def shards_of(specs: Iterable[TensorSpec], max_bytes: int) -> list[list[TensorSpec]]:
    """The tensors of each file, in order; a tensor larger than `max_bytes` has one to itself."""
    shards: list[list[TensorSpec]] = [[]]
    size = 0
    for spec in specs:
        if shards[-1] and size + spec.num_bytes > max_bytes:
            shards.append([])
            size = 0
        shards[-1].append(spec)
        size += spec.num_bytes
    return shards


def write_planned_shards(
    folder: Path,
    shards: list[list[TensorSpec]],
    tensors: Iterable[tuple[str, Iterable[bytes]]],
) -> None:
    """Write files whose headers are known beforehand, tensor by tensor, and the index.

    Args:
        tensors: names and the bytes of each, in pieces; exactly those planned, in order.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    source = iter(tensors)
    weight_map: dict[str, str] = {}
    for number, specs in enumerate(shards, start=1):
        name = (
            SINGLE_FILE
            if len(shards) == 1
            else f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        )
        with (folder / name).open("wb") as file:
            file.write(_header(specs))
            for spec in specs:
                found, pieces = next(source)
                assert found == spec.name, f"{found} comes where {spec.name} was planned"
                written = sum(file.write(piece) for piece in pieces)
                assert written == spec.num_bytes, f"{found} has {written} bytes"
            file.flush()
            os.fsync(file.fileno())
        weight_map |= dict.fromkeys((spec.name for spec in specs), name)
    assert next(source, None) is None, "more tensors than were planned"
    if len(shards) > 1:
        total = sum(spec.num_bytes for specs in shards for spec in specs)
        write_json(
            folder / INDEX_FILE, {"metadata": {"total_size": total}, "weight_map": weight_map}
        )


def as_bytes(tensor: Tensor) -> bytes:
    """The bytes of a tensor as a file has them."""
    return tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def _header(specs: Iterable[TensorSpec]) -> bytes:
    entries: dict[str, Mapping[str, Any]] = {"__metadata__": {"format": "pt"}}
    at = 0
    for spec in specs:
        entries[spec.name] = {
            "dtype": spec.dtype,
            "shape": list(spec.shape),
            "data_offsets": [at, at + spec.num_bytes],
        }
        at += spec.num_bytes
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
