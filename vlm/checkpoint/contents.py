"""What a checkpoint folder holds and where each tensor of it goes, by headers alone."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...errors import CheckpointError
from .kv_scales import is_kv_scale
from .names import Family, is_expert_stack, listed, stack_shape
from .quantized import Quantized, Sources, unlike
from .shards import FLOATS, ShardReader
from .stored_weights import StoredWeight


@dataclass(frozen=True, kw_only=True)
class Contents:
    """The weights of a folder.

    Attributes:
        stored: those of few bits, by their names on disk.
        sources: name of ours to the names on disk it is made of: under None if it is stored as
            one, else under the number of each expert, or of q, k and v.
        unplaced: names on disk that no tensor of ours has.
    """

    reader: ShardReader
    family: Family
    stored: Mapping[str, StoredWeight]
    sources: Sources
    unplaced: tuple[str, ...] = ()

    @property
    def has_draft_head(self) -> bool:
        """transformers drops it when it saves."""
        return any(map(_is_draft, self.sources))

    def in_few_bits(self, quantized: Quantized) -> set[str]:
        """Names of ours that are stored in few bits, or made so when they are opened that way."""
        return {
            name
            for name, found in self.sources.items()
            if any(disk in self.stored for disk in found.values())
            or (quantized == "experts-int8" and is_expert_stack(name))
        }

    def without_draft_head(self) -> "Contents":
        """The rest, for a model whose configuration has none."""
        rest = {name: found for name, found in self.sources.items() if not _is_draft(name)}
        return replace(self, sources=rest)

    def require_fit(self, wanted: Mapping[str, tuple[int, ...]], *, tied: str | None) -> None:
        """Every tensor has a place of its shape, and every place its tensors.

        Args:
            wanted: the shape of each tensor of the model.
            tied: the one that may be missing, for it is the embeddings.

        Raises:
            CheckpointError: something is missing, unexpected or misshapen, all of it named.
        """
        found = "; ".join(f"{kind}: {names}" for kind, names in self.complaints(wanted, tied=tied))
        if found:
            folder = self.reader.folder
            raise CheckpointError(f"{folder} does not fit its config.json: {found}.")

    def complaints(
        self, wanted: Mapping[str, tuple[int, ...]], *, tied: str | None
    ) -> list[tuple[str, str]]:
        """What is wrong with tensors, such as missing, and with which; as `require_fit`."""
        return [(kind, listed(names)) for kind, names in _complaints(self, wanted, tied) if names]


def find_contents(
    reader: ShardReader,
    family: Family,
    stored: dict[str, StoredWeight],
    *,
    headers_only: bool = False,
) -> Contents:
    """Give every weight that is not left aside its place; scales have none of their own.

    With `headers_only` nothing is raised and no weight is read: what has no place is `unplaced`.

    Raises:
        CheckpointError: a tensor has no place in this family, or may only be left aside while
            it is all ones.
    """
    sources: dict[str, dict[int | None, str]] = {}
    unexpected = []
    sound = {name.partition(".")[0] for name in reader.files if family.is_sound(name)}
    if sound:
        warnings.warn(
            f"{reader.folder} holds parts that hear ({', '.join(sorted(sound))}); sound is not "
            "supported, so they are left aside and not written back.",
            stacklevel=3,
        )
    stored = _halved(reader, family, stored)
    parts = {name for weight in stored.values() for name in weight.names}
    names = [name for name in reader.files if name not in parts and not is_kv_scale(name)]
    for name in [*names, *stored]:
        if family.is_left_aside(name):
            is_checked = family.must_be_ones(name) and not headers_only
            if is_checked and not bool((reader.tensor(name) == 1).all()):
                raise CheckpointError(
                    f"{reader.folder} holds {name}, a layer scale other than one, which this "
                    "tower does not have."
                )
            continue
        place = family.place(name)
        if place is None:
            unexpected.append(name)
        else:
            sources.setdefault(place.name, {}).setdefault(place.expert, name)
    if unexpected and not headers_only:
        raise CheckpointError(f"{reader.folder} holds unexpected tensors: {listed(unexpected)}.")
    return Contents(
        reader=reader,
        family=family,
        stored=stored,
        sources=sources,
        unplaced=tuple(unexpected),
    )


def _halved(
    reader: ShardReader, family: Family, stored: dict[str, StoredWeight]
) -> dict[str, StoredWeight]:
    """Show what is two of our tensors as two."""
    parts = {name for weight in stored.values() for name in weight.names}
    for name in reader.files.keys() - parts:
        halves = family.halves(name)
        if halves is not None:
            reader.halve(name, halves)
    shown = []
    for name, weight in stored.items():
        halves = family.halves(name)
        shown += weight.halves(reader, halves) if halves else [weight]
    return {weight.name: weight for weight in shown}


def _is_draft(name: str) -> bool:
    return ".mtp." in f".{name}"


def _complaints(
    contents: Contents, wanted: Mapping[str, tuple[int, ...]], tied: str | None
) -> list[tuple[str, list[Any]]]:
    """What is missing, unexpected, misshapen or of no usable number format, in words."""
    reader, family, stored = contents.reader, contents.family, contents.stored
    missing, misshapen, unreadable = [], [], []
    unexpected = list(contents.unplaced)
    for name, found in contents.sources.items():
        if name not in wanted:
            unexpected += found.values()
            continue
        shape = wanted[name]
        stacked = None not in found
        if stacked:
            shape = stack_shape(name, shape)
            absent = [idx for idx in range(shape[0]) if idx not in found]
            missing += [family.disk_name(name, idx) for idx in absent]
        for expert, disk in found.items():
            if expert is not None and expert >= shape[0]:
                unexpected.append(disk)
                continue
            expected = shape[1:] if stacked else shape
            if disk in stored:
                complaint = stored[disk].complaint(reader, expected)
                misshapen += [complaint] if complaint else []
                continue
            if reader.shape(disk) != expected:
                misshapen.append(
                    f"{disk} is {list(reader.shape(disk))} but should be {list(expected)}"
                )
            if reader.dtype(disk) not in FLOATS:
                unreadable.append(f"{disk} is {reader.dtype(disk)}")
    for name in wanted:
        if name not in contents.sources and name != tied and not family.may_be_absent(name):
            expert = 0 if is_expert_stack(name) else None
            missing.append(family.disk_name(name, expert))
    return [
        ("missing", missing),
        ("unexpected", unexpected),
        ("misshapen", misshapen),
        ("of a number format that cannot be read", unreadable),
        ("unlike, though they are used as one", unlike(reader, contents.sources, stored)),
    ]
