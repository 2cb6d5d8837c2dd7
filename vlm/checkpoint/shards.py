"""The tensors of a checkpoint folder: one safetensors file, or shards with an index.

Only safetensors is read, so nothing is ever unpickled.
"""

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ...data.processor_files import read_json, write_json
from ...errors import CheckpointError
from .mapped_stack import Extent

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
BYTES_PER_VALUE = {
    **dict.fromkeys(["F64", "I64", "U64"], 8),
    **dict.fromkeys(["F32", "I32", "U32"], 4),
    **dict.fromkeys(["BF16", "F16", "I16", "U16"], 2),
    **dict.fromkeys(["F8_E4M3", "F8_E5M2", "F8_E8M0", "I8", "U8", "BOOL"], 1),
}
FLOATS = ("F64", "F32", "BF16", "F16")
MTP_FILE = "mtp.safetensors"  # some releases keep the draft head apart, outside the index
MAX_SHARD_BYTES = 15 * 2**20


class Half(NamedTuple):
    """Which half, 0 or 1, of which tensor, along which dimension."""

    whole: str
    half: int
    dim: int


class Tensors(Protocol):
    """Shapes and tensors by name: of a `ShardReader`, or of what shows some of one."""

    def shape(self, name: str) -> tuple[int, ...]: ...

    def tensor(self, name: str) -> Tensor: ...


class ShardReader:
    """Names, shapes and tensors of a folder; a context manager.

    Attributes:
        files: tensor name to the file that holds it.
    """

    def __init__(self, folder: str | Path) -> None:
        """Find every tensor's file; nothing is read but headers.

        Raises:
            CheckpointError: no folder, no safetensors, or a shard that is missing or broken.
        """
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise CheckpointError(f"{self.folder} is not a folder; a checkpoint is one.")
        self._open: dict[Path, safe_open] = {}
        self.files = self._list_files()
        self._halves: dict[str, Half] = {}
        self._offsets: dict[Path, dict[str, int]] = {}

    def __enter__(self) -> "ShardReader":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open.clear()

    def halve(self, name: str, into: tuple[str, str], *, dim: int = -2) -> None:
        """Show a tensor as two: its halves along a dimension, by default that of its rows."""
        path = self.files.pop(name)
        for half, other in enumerate(into):
            self.files[other] = path
            self._halves[other] = Half(name, half, dim)

    def half(self, name: str) -> Half | None:
        """What the name stands for, if it was made by `halve`."""
        return self._halves.get(name)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor, read from its file's header."""
        shape = list(self._slice(name).get_shape())
        half = self._halves.get(name)
        if half is not None and shape[half.dim] % 2 == 0:  # an odd one is left to look wrong
            shape[half.dim] //= 2
        return tuple(shape)

    def dtype(self, name: str) -> str:
        """Number format of a tensor as the file names it, `BF16` or `F32` for example."""
        return self._slice(name).get_dtype()

    def num_bytes(self, name: str) -> int:
        """Bytes that a tensor takes in its file."""
        return math.prod(self.shape(name)) * BYTES_PER_VALUE[self.dtype(name)]

    def tensor(self, name: str) -> Tensor:
        """The tensor, on the CPU.

        Raises:
            CheckpointError: its file is broken.
        """
        path = self.files[name]
        try:
            if name in self._halves:
                whole, half, dim = self._halves[name]
                return self._handle(path).get_tensor(whole).chunk(2, dim)[half]
            return self._handle(path).get_tensor(name)
        except SafetensorError as error:
            raise CheckpointError(f"{path} does not hold a readable {name}: {error}.") from error

    def extent(self, name: str) -> Extent | None:
        """Where a tensor's bytes begin in its file; None for the half of one."""
        if name in self._halves:
            return None
        path = self.files[name]
        if path not in self._offsets:
            with path.open("rb") as file:
                length = int.from_bytes(file.read(8), "little")
                header = json.loads(file.read(length))
            self._offsets[path] = {
                each: 8 + length + values["data_offsets"][0]
                for each, values in header.items()
                if each != "__metadata__"
            }
        return Extent(path, self._offsets[path][name])

    def _slice(self, name: str):
        path = self.files[name]
        try:
            whole = self._halves[name].whole if name in self._halves else name
            return self._handle(path).get_slice(whole)
        except SafetensorError as error:
            raise CheckpointError(f"{path} does not hold {name}: {error}.") from error

    def _handle(self, path: Path):
        if path not in self._open:
            try:
                self._open[path] = safe_open(str(path), framework="pt")
            except FileNotFoundError as error:
                raise CheckpointError(
                    f"{path.parent} lacks the shard {path.name} that its index names; "
                    "copy or download it again."
                ) from error
            except (SafetensorError, OSError) as error:
                raise CheckpointError(
                    f"{path} is not a readable safetensors file: {error}."
                ) from error
        return self._open[path]

    def _list_files(self) -> dict[str, Path]:
        index = self.folder / INDEX_FILE
        files: dict[str, Path] = {}
        if index.is_file():
            weight_map = read_json(index).get("weight_map")
            if not isinstance(weight_map, dict) or not all(
                isinstance(shard, str) for shard in weight_map.values()
            ):
                raise CheckpointError(f"{index} has no weight_map of tensor names to file names.")
            files = {name: self.folder / Path(shard).name for name, shard in weight_map.items()}
            for path in sorted(set(files.values())):
                self._handle(path)
        elif (self.folder / SINGLE_FILE).is_file():
            path = self.folder / SINGLE_FILE
            files = dict.fromkeys(self._handle(path).keys(), path)
        else:
            raise CheckpointError(
                f"{self.folder} has neither {SINGLE_FILE} nor {INDEX_FILE}: no weights to read."
            )
        extra = self.folder / MTP_FILE
        if extra.is_file():
            for name in self._handle(extra).keys():  # noqa: SIM118 (not a dict)
                files.setdefault(name, extra)
        return files


def write_shards(
    folder: str | Path,
    tensors: Iterable[tuple[str, Tensor]],
    *,
    max_shard_bytes: int = MAX_SHARD_BYTES,
) -> None:
    """Write tensors in order into as many files as needed, and the index; old ones go.

    A tensor larger than `max_shard_bytes` gets a file to itself.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written: list[tuple[Path, list[str]]] = []
    total = 0
    for number, shard in enumerate(_shards(tensors, max_shard_bytes)):
        total += sum(_num_bytes(tensor) for tensor in shard.values())
        path = folder / f".writing-{number:05d}.safetensors"
        save_file(shard, path, metadata={"format": "pt"})
        path.chmod(0o644)  # safetensors keeps files to their owner; a model folder is shared
        written.append((path, list(shard)))
    for old in [
        *folder.glob("model-*-of-*.safetensors"),
        folder / SINGLE_FILE,
        folder / INDEX_FILE,
        folder / MTP_FILE,
    ]:
        old.unlink(missing_ok=True)
    if len(written) == 1:
        written[0][0].rename(folder / SINGLE_FILE)
        return
    weight_map: dict[str, str] = {}
    for number, (path, names) in enumerate(written, start=1):
        name = f"model-{number:05d}-of-{len(written):05d}.safetensors"
        path.rename(folder / name)
        weight_map |= dict.fromkeys(names, name)
    write_json(folder / INDEX_FILE, {"metadata": {"total_size": total}, "weight_map": weight_map})


def _shards(
    tensors: Iterable[tuple[str, Tensor]], max_shard_bytes: int
) -> Iterator[dict[str, Tensor]]:
    shard: dict[str, Tensor] = {}
    size = 0
    for name, tensor in tensors:
        num_bytes = _num_bytes(tensor)
        if shard and size + num_bytes > max_shard_bytes:
            yield shard
            shard, size = {}, 0
        # A copy: safetensors refuses views that share memory, such as one expert of a stack.
        shard[name] = tensor.detach().to("cpu", copy=True).contiguous()
        size += num_bytes
    if shard:
        yield shard


def _num_bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
