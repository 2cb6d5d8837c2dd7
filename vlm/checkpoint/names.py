"""What a family of checkpoints is: how it is recognised, configured and named on disk."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from ..config import LanguageConfig, VisionLanguageConfig

NUM_LISTED = 8
_STACK = re.compile(r"\.mixer\.experts\.\w+_proj$")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a tensor of the file goes: a name of ours, and which expert of a stack it is.

    Of a fused `attn.qkv`, stored in three, it says which of them it is.
    """

    name: str
    expert: int | None = None


@dataclass(frozen=True, kw_only=True)
class Family:
    """One family of checkpoints; names are tensor names, values a `config.json`.

    Attributes:
        name: what `config.family` says of its models.
        recognises: whether a `config.json` is of this family.
        read_config: `(values, strict)` to the configuration.
        write_config: the configuration to `config.json`, but for `dtype`.
        complete: `(config, values, folder)` to the configuration with what the folder's other
            files say, for a family whose `config.json` leaves something open.
        place: disk name to its place; None for a name the family does not know.
        disk_name: a name of ours and an expert index to the name that is written.
        is_left_aside: whether a disk name is one of the few that are not read.
        is_sound: whether a disk name left aside is of a part that hears, of which the user
            is told.
        must_be_ones: whether a disk name left aside is only right while it is all ones.
        may_be_absent: whether a tensor of ours may miss on disk, for it is then the identity:
            a weight of ones, a bias of zeros.
        respell: names written beside or instead of `disk_name`, if any, for a name and tensor.
        halves: for a disk name whose tensor is two of ours, one over the other, what its halves
            are called; they are written as one where `disk_name` gives neighbours one name.
        constants: tensors written although the model has none, for readers that look for them.
        suited: a configuration to the family with its names, where they depend on it.
    """

    name: str
    recognises: Callable[[Mapping[str, Any]], bool]
    read_config: Callable[[Mapping[str, Any], bool], LanguageConfig | VisionLanguageConfig]
    write_config: Callable[[Any], dict[str, Any]]
    place: Callable[[str], Place | None]
    disk_name: Callable[[str, int | None], str]
    complete: Callable[[Any, Mapping[str, Any], Path], Any] = field(
        default=lambda config, values, folder: config
    )
    is_left_aside: Callable[[str], bool] = field(default=lambda name: False)
    is_sound: Callable[[str], bool] = field(default=lambda name: False)
    must_be_ones: Callable[[str], bool] = field(default=lambda name: False)
    may_be_absent: Callable[[str], bool] = field(default=lambda name: False)
    respell: Callable[[str, Tensor], list[str] | None] = field(default=lambda name, tensor: None)
    halves: Callable[[str], tuple[str, str] | None] = field(default=lambda name: None)
    constants: Callable[[Any], dict[str, Tensor]] = field(default=lambda config: {})
    suited: Callable[[Any], "Family"] | None = None

    def spell(self, name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
        """What is written for a tensor of ours: one name, or one an expert."""
        names = self.respell(name, tensor)
        if names is not None:
            yield from ((other, tensor) for other in names)
        elif is_expert_stack(name):
            for expert, weight in enumerate(tensor):
                yield self.disk_name(name, expert), weight
        else:
            yield self.disk_name(name, None), tensor


def labels(values: Mapping[str, Any]) -> set[str]:
    """The names a `config.json` goes by: its model type and architectures."""
    named = values.get("architectures")
    named = [values.get("model_type"), *(named if isinstance(named, list) else [named])]
    return {str(label) for label in named if label}


def labelled(*known: str) -> Callable[[Mapping[str, Any]], bool]:
    """Recognises a `config.json` by any of these names."""
    return lambda values: not labels(values).isdisjoint(known)


def is_expert_stack(name: str) -> bool:
    """Whether a name of ours is a stack that goes to disk expert by expert."""
    return _STACK.search(name) is not None


def stack_shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a tensor of ours, as a stack of what is stored apart."""
    is_fused = ".attn.qkv." in name
    return (3, shape[0] // 3, *shape[1:]) if is_fused else shape


def listed(names: Iterable[str]) -> str:
    """Names for an error message: the first few, and how many more there are."""
    names = sorted(names)
    more = f" and {len(names) - NUM_LISTED} more" if len(names) > NUM_LISTED else ""
    return ", ".join(names[:NUM_LISTED]) + more
