"""What the headers of safetensors files say of a checkpoint: names, shapes and number formats.

Of a repository on the hub the headers alone are fetched; the weights behind them are not.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ...data.processor_files import read_json
from ...errors import CheckpointError
from .hub import Source, said_in_words
from .shards import INDEX_FILE, MTP_FILE, SINGLE_FILE, ShardReader

_CONNECTIONS = 8
_Header = dict[str, tuple[tuple[int, ...], str]]  # tensor name to shape and number format


class Headers(ShardReader):
    """What a `ShardReader` tells of names, shapes and number formats, without any file.

    Attributes:
        folder: where the files would be.
        files: tensor name to the file that would hold it.
    """

    def __init__(self, folder: Path, headers: Mapping[str, _Header]) -> None:
        """`headers` by file name."""
        self.folder = folder  # not the parent's: nothing is opened
        self.files = {name: folder / file for file, header in headers.items() for name in header}
        self._tensors = {name: each for header in headers.values() for name, each in header.items()}

    def halve(self, name: str, into: tuple[str, str], *, dim: int = -2) -> None:
        """As `ShardReader.halve`."""
        path, (shape, dtype) = self.files.pop(name), self._tensors.pop(name)
        if shape[dim] % 2 == 0:  # an odd one is left to look wrong
            shape = tuple(
                size // 2 if idx == dim % len(shape) else size for idx, size in enumerate(shape)
            )
        for half in into:
            self.files[half], self._tensors[half] = path, (shape, dtype)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._tensors[name][0]

    def dtype(self, name: str) -> str:
        return self._tensors[name][1]

    def tensor(self, name: str) -> Tensor:
        """Raises a CheckpointError: there are no weights behind these headers."""
        raise CheckpointError(f"{name} of {self.folder} cannot be read: its weights are not here.")


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A checkpoint without its weights: its headers, and every file's bytes by name."""

    headers: Headers
    sizes: Mapping[str, int]


def list_checkpoint(source: Source) -> Listing:
    """Read the headers of a folder, or of a repository whose other files are in the cache.

    Shards that are in the cache are read there.

    Raises:
        CheckpointError: there are no weights, one is missing or broken, or the hub cannot be
            asked for what is not in the cache.
    """
    folder = source.folder
    sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}
    if source.hub_id is None or _is_whole(folder):
        with ShardReader(folder) as reader:
            header = {name: (reader.shape(name), reader.dtype(name)) for name in reader.files}
            by_file: dict[str, _Header] = {}
            for name, path in reader.files.items():
                by_file.setdefault(path.name, {})[name] = header[name]
        return Listing(headers=Headers(folder, by_file), sizes=sizes)
    from huggingface_hub import HfApi

    with said_in_words(source.hub_id, source.commit):
        # not list_repo_tree, which tries for half a minute where there is no network
        info = HfApi().model_info(source.hub_id, revision=source.commit, files_metadata=True)
    listed = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    sizes = {name: size for name, size in listed.items() if "/" not in name} | sizes
    wanted = _shards(folder) or [SINGLE_FILE]
    for name in wanted:
        if name not in sizes:
            raise CheckpointError(f"{source} has no {name}: there are no weights to read.")
    draft = [MTP_FILE] if MTP_FILE in sizes else []
    headers = _fetch(source, [*wanted, *draft])
    return Listing(headers=Headers(folder, headers), sizes=sizes)


def _is_whole(folder: Path) -> bool:
    """Whether the weights are all there; without an index, whether any are."""
    shards = _shards(folder)
    return all((folder / name).is_file() for name in shards or [SINGLE_FILE])


def _shards(folder: Path) -> list[str]:
    """The files that an index names; none without an index."""
    path = folder / INDEX_FILE
    if not path.is_file():
        return []
    weight_map = read_json(path).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{path} has no weight_map of tensor names to file names.")
    return sorted({Path(str(name)).name for name in weight_map.values()})


def _fetch(source: Source, files: Iterable[str]) -> dict[str, _Header]:
    """The headers of files of a repository, in their order, by requests for a range of bytes."""
    from huggingface_hub import HfApi

    assert source.hub_id is not None
    hub_id, api = source.hub_id, HfApi()

    def fetch(name: str) -> tuple[str, _Header]:
        found = api.parse_safetensors_file_metadata(hub_id, name, revision=source.commit)
        return name, {
            tensor: (tuple(info.shape), info.dtype) for tensor, info in found.tensors.items()
        }

    with said_in_words(hub_id, source.commit), ThreadPoolExecutor(_CONNECTIONS) as pool:
        return dict(pool.map(fetch, files))
