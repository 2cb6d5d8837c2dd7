"""A full-precision checkpoint to be exported: where each weight of ours is, read one at a time."""

from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from ...errors import ConfigError
from ..checkpoint.contents import find_contents
from ..checkpoint.families import family_of
from ..checkpoint.find_stored import find_stored_weights
from ..checkpoint.load import load_config
from ..checkpoint.names import Family, is_expert_stack
from ..checkpoint.shards import FLOATS
from ..checkpoint.stored_weights import StoredWeight
from ..config import LanguageConfig, VisionLanguageConfig
from ..quantize.declared import DeclaredFormats
from ..quantize.declared_files import read_declared
from ..quantize.packed import PackedWeight
from ..skeleton import skeleton
from .plain_files import StreamReader


class ExpertReader:
    """A reader that shows of every stack one expert, and reads no more of it."""

    def __init__(self, reader: StreamReader, expert: int) -> None:
        self._reader, self._expert = reader, expert

    def shape(self, name: str) -> tuple[int, ...]:
        shape = self._reader.shape(name)
        return shape[1:] if prod(shape) > 1 else shape

    def tensor(self, name: str) -> Tensor:
        is_stack = prod(self._reader.shape(name)) > 1
        return self._reader.row(name, self._expert) if is_stack else self._reader.tensor(name)


class WeightSource:
    """A checkpoint folder of any family, opened for reading weight by weight.

    Attributes:
        config: of the model; `text` is its language model's.
        shapes: of every tensor of ours.
        stored: weights that are in few bits, by disk name.
        declared: what the folder declares of them.
        is_tied: whether the head is the embeddings, and stored once.
    """

    def __init__(self, folder: str | Path) -> None:
        """Read the headers and check that everything is there.

        Raises:
            CheckpointError: a file or a tensor is missing, unexpected, misshapen.
            ConfigError: `config.json` asks for what is not supported.
        """
        self.folder = Path(folder)
        self.config: VisionLanguageConfig | LanguageConfig = load_config(folder)
        self.declared: DeclaredFormats | None = read_declared(folder)
        self.family: Family = family_of(self.config)
        self.reader = StreamReader(folder)
        stored = find_stored_weights(self.reader, self.declared)
        contents = find_contents(self.reader, self.family, stored)
        self.stored: Mapping[str, StoredWeight] = contents.stored
        self.model = skeleton(self.config)
        self.has_mtp = contents.has_draft_head
        state = self.model.state_dict()
        if not self.has_mtp:
            state = {name: t for name, t in state.items() if ".mtp." not in f".{name}"}
        elif not any(".mtp." in f".{name}" for name in state):
            contents = contents.without_draft_head()
        self.shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
        self.is_tied = self.text.tie_word_embeddings
        self._sources = contents.sources
        tied = next(n for n in state if n.endswith("lm_head.weight")) if self.is_tied else None
        contents.require_fit(self.shapes, tied=tied)

    @property
    def text(self) -> LanguageConfig:
        return self.config.text if isinstance(self.config, VisionLanguageConfig) else self.config

    @property
    def prefix(self) -> str:
        """What names of the language model begin with."""
        return "language_model." if isinstance(self.config, VisionLanguageConfig) else ""

    def names(self) -> Iterator[str]:
        """Every tensor of ours that the folder holds, in the model's order."""
        return (name for name in self.shapes if name in self._sources)

    def holds(self, name: str) -> bool:
        return name in self._sources

    def disk_names(self, name: str) -> Mapping[int | None, str]:
        """What a tensor of ours is called on disk, by expert if it is a stack stored apart."""
        return self._sources[name]

    def dtype(self, name: str) -> str:
        """Number format of a tensor, or of its first expert, as the file names it."""
        return self.reader.dtype(next(iter(self._sources[name].values())))

    def require_full_precision(self) -> None:
        """Raises:
        ConfigError: some weight is in few bits already.
        """
        for each in self.stored.values():
            raise ConfigError(
                f"{self.folder} holds {each.name} in {each.format} already; export the "
                "full-precision checkpoint it was made from."
            )
        for name in self.names():
            if self.dtype(name) not in FLOATS:
                raise ConfigError(f"{self.folder} holds {name} in {self.dtype(name)}.")

    def read(self, name: str, expert: int | None = None) -> Tensor:
        """A tensor of ours, or one expert of a stack, as floats; few bits widened to float32."""
        found = self._sources[name]
        if expert is not None and None in found:
            packed = self.read_packed(name, expert)
            return self.reader.row(found[None], expert) if packed is None else packed.matrix()
        if expert is not None:
            return self._read_one(found[expert])
        if None in found:
            return self._read_one(found[None])
        parts = [self._read_one(found[idx]) for idx in sorted(k for k in found if k is not None)]
        shape = self.shapes[name]
        return torch.cat(parts).view(shape) if prod(shape) else torch.empty(shape)

    def read_packed(self, name: str, expert: int | None = None) -> PackedWeight | None:
        """A weight as it is stored in few bits; None if it is one of floats."""
        found = self._sources[name]
        stored = self.stored.get(found.get(expert) or found.get(None) or "")
        if stored is None:
            return None
        if expert is None or expert in found:
            return stored.packed(stored.read(self.reader, "cpu"))
        return stored.packed(stored.read(ExpertReader(self.reader, expert), "cpu"))

    def module(self, disk: str) -> str:
        """What the product is called that a weight belongs to: two halves are of one."""
        stored = self.stored.get(disk)
        half = self.reader.half(disk if stored is None else stored.codes)
        whole = half.whole if half else disk
        return whole.removesuffix("_packed").removesuffix(".weight")

    def stored_as(self, name: str) -> set[str]:
        """The formats of a weight on disk, one unless the experts of a stack differ."""
        kinds = set()
        for disk in self._sources[name].values():
            stored = self.stored.get(disk)
            kinds.add(self.reader.dtype(disk) if stored is None else stored.format)
        return kinds

    def is_stack(self, name: str) -> bool:
        return is_expert_stack(name)

    def _read_one(self, disk: str) -> Tensor:
        stored = self.stored.get(disk)
        if stored is None:
            return self.reader.tensor(disk)
        return stored.packed(stored.read(self.reader, "cpu")).matrix()
