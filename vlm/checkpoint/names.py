"""What a family's key map says of one tensor name on disk, and how a map is put to use."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

NUM_LISTED = 8


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a tensor of the file goes: a name of ours, and which expert of a stack it is."""

    name: str
    expert: int | None = None


@dataclass(frozen=True, kw_only=True)
class Family:
    """One family of checkpoints.

    Attributes:
        place: disk name to its place; None for a name the family does not know.
        is_left_aside: whether a disk name is one of the few that are not read.
        disk_name: a name of ours and an expert index to the name that is written.
        must_be_ones: whether a disk name left aside is only right while it is all ones.
    """

    place: Callable[[str], Place | None]
    is_left_aside: Callable[[str], bool]
    disk_name: Callable[[str, int | None], str]
    must_be_ones: Callable[[str], bool] = field(default=lambda name: False)


def listed(names: Iterable[str]) -> str:
    """Names for an error message: the first few, and how many more there are."""
    names = sorted(names)
    more = f" and {len(names) - NUM_LISTED} more" if len(names) > NUM_LISTED else ""
    return ", ".join(names[:NUM_LISTED]) + more
