"""Examples of unequal length -> rows of nearly equal size, without padding.

Every example stays a sequence of its own (`cu_seqlens`): the model resets its state at every
boundary, and no label crosses one. See "packed by default" in DESIGN.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

IGNORE = -100


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """One training sequence with its pictures.

    Attributes:
        input_ids: int64 `(tokens,)`; empty where only the pictures are learnt from.
        labels: int64 `(tokens,)`, aligned with `input_ids` (not shifted), -100 where nothing
            is to be learnt.
        pixel_values: float32 `(patches, 3 * p * p)`.
        image_grid_hw: int64 `(images, 2)`.
        char_targets: int64 `(patches, slots)`, or `None` where characters are not known.
        kinds: kind of each run of labels (of each answer), in order; may be empty.
    """

    input_ids: np.ndarray
    labels: np.ndarray
    pixel_values: np.ndarray
    image_grid_hw: np.ndarray
    char_targets: np.ndarray | None = None
    kinds: tuple[str, ...] = ()

    @property
    def num_tokens(self) -> int:
        return len(self.input_ids)

    @property
    def num_patches(self) -> int:
        return len(self.pixel_values)


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """One packed row.

    Attributes:
        input_ids: int64 `(tokens,)`.
        labels: int64 `(tokens,)`, the token that follows within the same sequence, -100 where
            nothing is to be learnt or nothing follows.
        next_ids: int64 `(tokens,)`, `input_ids` of the next position of the same sequence (0
            at its end): what a multi-token-prediction head is fed.
        next_labels: int64 `(tokens,)`, the token after the next, or -100.
        cu_seqlens: int32 `(examples + 1,)`.
        pixel_values: float32 `(patches, 3 * p * p)`.
        image_grid_hw: int64 `(images, 2)`.
        char_targets: int64 `(patches, slots)` or `None`.
        num_examples: how many examples were packed.
        kinds: kind of each answer of the row, in order.
    """

    input_ids: torch.Tensor
    labels: torch.Tensor
    next_ids: torch.Tensor
    next_labels: torch.Tensor
    cu_seqlens: torch.Tensor
    pixel_values: torch.Tensor
    image_grid_hw: torch.Tensor
    char_targets: torch.Tensor | None
    num_examples: int
    kinds: tuple[str, ...] = ()

    def to(self, device: torch.device | str) -> Batch:
        """The same row on a device."""
        moved = {
            name: value.to(device, non_blocking=True)
            for name, value in vars(self).items()
            if isinstance(value, torch.Tensor)
        }
        return Batch(**{**vars(self), **moved})


@dataclass(frozen=True, kw_only=True)
class RowLimits:
    """How large a row may get.

    Attributes:
        tokens: text and visual tokens.
        patches: patches of all its pictures.
        open_rows: rows filled side by side; more of them leave fewer gaps.
    """

    tokens: int = 4096
    patches: int = 8192
    open_rows: int = 4


@dataclass
class _Row:
    entries: list[tuple[object, Example]] = field(default_factory=list)
    tokens: int = 0
    patches: int = 0


class Packer:
    """First fit into a few open rows; the fullest leaves when an example fits in none.

    Entries are `(tag, example)`; tags say where an example came from, so that the open rows
    can be rebuilt after a stop.
    """

    def __init__(self, limits: RowLimits):
        self.limits = limits
        self.rows: list[_Row] = []

    def fits_alone(self, example: Example) -> bool:
        """Whether the example fits an empty row."""
        limits = self.limits
        return example.num_tokens <= limits.tokens and example.num_patches <= limits.patches

    def add(self, tag: object, example: Example) -> list[tuple[object, Example]] | None:
        """Place an example; returns the entries of a full row when one had to leave."""
        limits = self.limits
        for row in self.rows:
            if (
                row.tokens + example.num_tokens <= limits.tokens
                and row.patches + example.num_patches <= limits.patches
            ):
                _put(row, tag, example)
                return None
        full = None
        if len(self.rows) >= limits.open_rows:
            # max() takes the first of equals: the order is a function of the examples alone.
            fullest = max(self.rows, key=self._fill)
            self.rows.remove(fullest)
            full = fullest.entries
        self.rows.append(_Row())
        _put(self.rows[-1], tag, example)
        return full

    def take(self) -> list[tuple[object, Example]] | None:
        """Entries of the oldest open row, or `None` when there is none left."""
        return self.rows.pop(0).entries if self.rows else None

    def tags(self) -> list[list[object]]:
        """Tags of the open rows, for `restore`."""
        return [[tag for tag, _ in row.entries] for row in self.rows]

    def restore(self, rows: Sequence[Sequence[tuple[object, Example]]]) -> None:
        """Rebuild the open rows from their entries."""
        self.rows = []
        for entries in rows:
            self.rows.append(_Row())
            for tag, example in entries:
                _put(self.rows[-1], tag, example)

    def _fill(self, row: _Row) -> float:
        return max(row.tokens / self.limits.tokens, row.patches / self.limits.patches)


def _put(row: _Row, tag: object, example: Example) -> None:
    row.entries.append((tag, example))
    row.tokens += example.num_tokens
    row.patches += example.num_patches


def pack(examples: Sequence[Example]) -> Batch:
    """Join examples into one row; labels are shifted inside each sequence only."""
    lengths = [example.num_tokens for example in examples]
    cu_seqlens = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    input_ids = np.concatenate([example.input_ids for example in examples]).astype(np.int64)
    aligned = np.concatenate([example.labels for example in examples]).astype(np.int64)
    ends = cu_seqlens[1:] - 1
    ends = ends[np.asarray(lengths) > 0]
    labels = _shift(aligned, ends, IGNORE)
    known = [example.char_targets for example in examples]
    targets = None
    if all(target is not None for target in known):
        targets = torch.from_numpy(np.concatenate([t for t in known if t is not None]))
    return Batch(
        input_ids=torch.from_numpy(input_ids),
        labels=torch.from_numpy(labels),
        next_ids=torch.from_numpy(_shift(input_ids, ends, 0)),
        next_labels=torch.from_numpy(_shift(labels, ends, IGNORE)),
        cu_seqlens=torch.from_numpy(cu_seqlens),
        pixel_values=torch.from_numpy(np.concatenate([e.pixel_values for e in examples])),
        image_grid_hw=torch.from_numpy(np.concatenate([e.image_grid_hw for e in examples])),
        char_targets=targets,
        num_examples=len(examples),
        kinds=tuple(kind for example in examples for kind in example.kinds),
    )


def _shift(values: np.ndarray, ends: np.ndarray, fill: int) -> np.ndarray:
    moved = np.full_like(values, fill)
    moved[:-1] = values[1:]
    moved[ends] = fill
    return moved
