"""Media of a benchmark where they lie: in a folder, a parquet file or a tar shard.

Each is read when it is shown, so that a benchmark of many gigabytes needs the memory of one
picture. `ref()` is a JSON value by which `from_ref` finds the medium again.
"""

import base64
import functools
import hashlib
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from ..errors import MediaError, MissingDependencyError

VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v", ".mpg", ".mpeg", ".gif")
# A video is known by its size, its beginning and its end: reading all of it would take too long.
_WHOLE = 64 << 20
_PIECE = 4 << 20


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A file, or a folder of frames; `pages` of a document, as `VLM.ask` takes them."""

    path: str
    pages: str | None = None

    @property
    def name(self) -> str:
        return Path(self.path).name

    def source(self) -> str | dict[str, Any]:
        """What `VLM.ask` takes."""
        if self.pages:
            return {"type": "image", "image": self.path, "pages": self.pages}
        return self.path

    def read(self) -> bytes:
        """The bytes of the file.

        Raises:
            MediaError: it cannot be read.
        """
        try:
            return Path(self.path).read_bytes()
        except OSError as error:
            raise MediaError(f"{self.path} cannot be read: {error.strerror or error}.") from error

    def sha256(self) -> str:
        """Of the content; of a long one, of its size, its beginning and its end.

        Raises:
            MediaError: it cannot be read.
        """
        path = Path(self.path)
        if path.is_dir():
            names = sorted(each.name for each in path.iterdir())
            return hashlib.sha256("\n".join(names).encode("utf-8")).hexdigest()
        try:
            with path.open("rb") as file:
                size = path.stat().st_size
                if size <= _WHOLE:
                    return hashlib.file_digest(file, "sha256").hexdigest()
                digest = hashlib.sha256(f"{size}\n".encode())
                digest.update(file.read(_PIECE))
                file.seek(-_PIECE, 2)
                digest.update(file.read())
                return digest.hexdigest()
        except OSError as error:
            raise MediaError(f"{self.path} cannot be read: {error.strerror or error}.") from error

    def ref(self) -> dict[str, Any]:
        return {"file": self.path, "pages": self.pages} if self.pages else {"file": self.path}


class _Bytes(ABC):
    """A medium whose bytes are taken out of something larger."""

    name: str

    @abstractmethod
    def read(self) -> bytes: ...

    def source(self) -> bytes:
        return self.read()

    def sha256(self) -> str:
        return hashlib.sha256(self.read()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class ParquetCell(_Bytes):
    """A picture in a parquet file, as Hugging Face data sets have it: `{bytes, path}` or bytes.

    Attributes:
        row: counted from 0 in the whole file.
        item: which of a list of pictures; -1 if the cell is one.
    """

    path: str
    row: int
    column: str
    item: int = -1

    @property
    def name(self) -> str:
        place = f"row {self.row} column {self.column}"
        return f"{Path(self.path).name} {place}" + (f"[{self.item}]" if self.item >= 0 else "")

    def read(self) -> bytes:
        """The bytes.

        Raises:
            MediaError: the cell is empty or the file is gone.
        """
        value = parquet_value(self.path, self.row, self.column)
        if self.item >= 0:
            value = value[self.item]
        if isinstance(value, Mapping):
            if value.get("bytes") is None and value.get("path"):
                return StoredFile(path=str(Path(self.path).parent / value["path"])).read()
            value = value.get("bytes")
        if not value:
            raise MediaError(f"{self.name} holds no picture.")
        return value

    def ref(self) -> dict[str, Any]:
        return {"parquet": asdict(self)}


@dataclass(frozen=True, kw_only=True)
class TarMember(_Bytes):
    """A member of an uncompressed tar file: a WebDataset shard."""

    path: str
    offset: int
    size: int
    member: str

    @property
    def name(self) -> str:
        return f"{self.member} in {Path(self.path).name}"

    def read(self) -> bytes:
        """The bytes.

        Raises:
            MediaError: the shard is gone or cut short.
        """
        try:
            with Path(self.path).open("rb") as file:
                file.seek(self.offset)
                data = file.read(self.size)
        except OSError as error:
            raise MediaError(f"{self.path} cannot be read: {error.strerror or error}.") from error
        if len(data) < self.size:
            raise MediaError(f"{self.name} is cut short.")
        return data

    def ref(self) -> dict[str, Any]:
        return {"tar": asdict(self)}


@dataclass(frozen=True, kw_only=True)
class InlinePicture(_Bytes):
    """A picture written into a table as base64, as VLMEvalKit's TSV files have it."""

    name: str
    data: str

    def read(self) -> bytes:
        """The bytes.

        Raises:
            MediaError: it is no base64.
        """
        try:
            return base64.b64decode(self.data, validate=True)
        except ValueError as error:
            raise MediaError(f"{self.name} is no picture in base64.") from error

    def ref(self) -> dict[str, Any]:
        digest = hashlib.sha256(self.data.encode("ascii", "replace")).hexdigest()
        return {"inline": digest, "name": self.name}


Stored: TypeAlias = StoredFile | ParquetCell | TarMember | InlinePicture


def from_ref(ref: Mapping[str, Any]) -> Stored | None:
    """The medium that a reference names; None if it cannot be found by it."""
    if "file" in ref:
        return StoredFile(path=ref["file"], pages=ref.get("pages"))
    if "parquet" in ref:
        return ParquetCell(**ref["parquet"])
    if "tar" in ref:
        return TarMember(**ref["tar"])
    return None


def shown_media(line: Mapping[str, Any], folder: Path) -> list[Stored | dict[str, Any]]:
    """The media that a line names, as far as they can be found again."""
    found: list[Stored | dict[str, Any]] = []
    for ref in line.get("media", ()):
        if "saved" in ref:
            found.append(StoredFile(path=str(folder / ref["saved"])))
        elif "frames" in ref:
            frames = [str(folder / each["saved"]) for each in ref["frames"]]
            found.append({"type": "video", "frames": frames, "timestamps": ref["timestamps"]})
        elif (medium := from_ref(ref)) is not None:
            found.append(medium)
    return found


def parquet_module() -> Any:
    """`pyarrow.parquet`.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependencyError(
            "Reading parquet files needs pyarrow: pip install 'latentvlm[eval]'."
        ) from error
    return pyarrow.parquet


def parquet_value(path: str, row: int, column: str) -> Any:
    """One cell of a parquet file."""
    bounds = _bounds(path)
    group = next((idx for idx, (_, end) in enumerate(bounds) if row < end), None)
    if group is None:
        raise MediaError(f"{path} has no row {row}.")
    return _group(path, group, column)[row - bounds[group][0]].as_py()


@functools.lru_cache(maxsize=256)
def _bounds(path: str) -> list[tuple[int, int]]:
    """First and last row, exclusive, of each row group."""
    try:
        about = parquet_module().ParquetFile(path).metadata
    except (OSError, ValueError) as error:
        raise MediaError(f"{path} cannot be read as parquet: {error}.") from error
    bounds, begin = [], 0
    for idx in range(about.num_row_groups):
        bounds.append((begin, begin + about.row_group(idx).num_rows))
        begin = bounds[-1][1]
    return bounds


# Row groups read last, as far as they fit; a document of twenty pages has twenty columns.
_GROUP_BYTES = 512 << 20
_groups: OrderedDict[tuple[str, int, str], Any] = OrderedDict()
_groups_lock = threading.Lock()


def _group(path: str, group: int, column: str) -> Any:
    key = (path, group, column)
    with _groups_lock:
        if key in _groups:
            _groups.move_to_end(key)
            return _groups[key]
        try:
            file = parquet_module().ParquetFile(path)
            _groups[key] = file.read_row_group(group, columns=[column])[column]
        except (OSError, ValueError, KeyError) as error:
            raise MediaError(f"{path} cannot be read as parquet: {error}.") from error
        while len(_groups) > 1 and sum(each.nbytes for each in _groups.values()) > _GROUP_BYTES:
            _groups.popitem(last=False)
        return _groups[key]
