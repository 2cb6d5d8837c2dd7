"""Training sequences, and several of them joined into one row without padding.

Every example stays a sequence of its own (`cu_seqlens`): the model resets its state at every
boundary, and no label crosses one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..errors import DataError
from ..token_reduction.budget import dropped_tokens, plan_evs, plan_videos
from ..token_reduction.evs import EVSConfig, EVSPlan
from .model_inputs import IGNORED_LABEL


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """One training sequence with its pictures.

    Attributes:
        input_ids: int64 `(tokens,)`; empty where only the pictures are learnt from.
        labels: int64 `(tokens,)`, aligned with `input_ids` (not shifted), -100 where nothing
            is to be learnt.
        pixel_values: float32 `(patches, 3 * p * p)`; empty without pictures.
        image_grid_hw: int64 `(images, 2)`.
        char_targets: int64 `(patches, slots)`, or `None` where characters are not known.
        kinds: kind of each run of labels (of each answer), in order; may be empty.
        pixel_values_videos: float32 `(patches, frames per tubelet * 3 * p * p)`, or `None`.
        video_grid_thw: int64 `(videos, 3)`, in patches, or `None`.
        video_shapes: visual tokens of each video as tubelets, rows and columns.
    """

    input_ids: np.ndarray
    labels: np.ndarray
    pixel_values: np.ndarray
    image_grid_hw: np.ndarray
    char_targets: np.ndarray | None = None
    kinds: tuple[str, ...] = ()
    pixel_values_videos: np.ndarray | None = None
    video_grid_thw: np.ndarray | None = None
    video_shapes: tuple[tuple[int, int, int], ...] = ()

    @property
    def num_tokens(self) -> int:
        return len(self.input_ids)

    @property
    def num_patches(self) -> int:
        videos = self.pixel_values_videos
        return len(self.pixel_values) + (0 if videos is None else len(videos))

    def tokens_under(self, evs: EVSConfig) -> int:
        """Tokens that are left once EVS has dropped its share, exactly, before any is encoded."""
        return self.num_tokens - dropped_tokens(plan_evs(evs, self.video_shapes))


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """One packed row.

    With `evs` it still holds the tokens that will be dropped; once the videos are encoded,
    `keep` gives the row without them.

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
        aligned_labels: int64 `(tokens,)`, the labels before they were shifted.
        pixel_values_videos, video_grid_thw: as in `Example`.
        evs: of each video what EVS keeps; empty if nothing is dropped.
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
    aligned_labels: torch.Tensor
    pixel_values_videos: torch.Tensor | None = None
    video_grid_thw: torch.Tensor | None = None
    evs: tuple[EVSPlan, ...] = ()

    @property
    def num_tokens(self) -> int:
        """Tokens that the language model reads, exactly."""
        return self.input_ids.shape[0] - dropped_tokens(self.evs)

    @property
    def num_patches(self) -> int:
        videos = self.pixel_values_videos
        return self.pixel_values.shape[0] + (0 if videos is None else videos.shape[0])

    def keep(self, keep_T: torch.Tensor) -> Batch:
        """The row without the tokens whose mask is False; what follows what is found anew.

        Raises:
            DataError: the mask does not leave as many tokens as the row was packed for.
        """
        counted = torch.cat([keep_T.new_zeros(1, dtype=torch.int64), keep_T.cumsum(0)])
        if int(counted[-1]) != self.num_tokens:
            raise DataError(
                f"a row was packed for {self.num_tokens} tokens, but {int(counted[-1])} are left "
                "of it; rows are packed for EVS by rate, not by threshold"
            )
        bounds = counted[self.cu_seqlens.long()].to(self.cu_seqlens.dtype)
        row = _row(self.input_ids[keep_T], self.aligned_labels[keep_T], bounds)
        return replace(self, **row, evs=())

    def to(self, device: torch.device | str) -> Batch:
        """The same row on a device."""
        moved = {
            name: value.to(device, non_blocking=True)
            for name, value in vars(self).items()
            if isinstance(value, torch.Tensor)
        }
        return Batch(**{**vars(self), **moved})


def pack(examples: Sequence[Example], *, evs: EVSConfig | None = None) -> Batch:
    """Join examples into one row; labels are shifted inside each sequence only."""
    lengths = [example.num_tokens for example in examples]
    cu_seqlens = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    ids = np.concatenate([example.input_ids for example in examples]).astype(np.int64)
    aligned = np.concatenate([example.labels for example in examples]).astype(np.int64)
    known = [example.char_targets for example in examples]
    shapes = [shape for example in examples for shape in example.video_shapes]
    return Batch(
        **_row(*map(torch.from_numpy, (ids, aligned, cu_seqlens))),
        pixel_values=torch.from_numpy(np.concatenate([e.pixel_values for e in examples])),
        image_grid_hw=torch.from_numpy(np.concatenate([e.image_grid_hw for e in examples])),
        char_targets=None if any(each is None for each in known) else _joined(known),
        num_examples=len(examples),
        kinds=tuple(kind for example in examples for kind in example.kinds),
        pixel_values_videos=_joined([e.pixel_values_videos for e in examples]),
        video_grid_thw=_joined([e.video_grid_thw for e in examples]),
        evs=plan_videos(shapes, [evs] * len(shapes)),
    )


def _joined(parts: Sequence[np.ndarray | None]) -> torch.Tensor | None:
    """What is there of the parts, one after another."""
    there = [part for part in parts if part is not None]
    return torch.from_numpy(np.concatenate(there)) if there else None


def _row(
    input_ids: torch.Tensor, aligned_labels: torch.Tensor, cu_seqlens: torch.Tensor
) -> dict[str, torch.Tensor]:
    """What a row has for every token, and its boundaries."""
    ends = cu_seqlens[1:].long() - 1
    ends = ends[cu_seqlens.diff() > 0]
    labels = _shift(aligned_labels, ends, IGNORED_LABEL)
    return {
        "input_ids": input_ids,
        "aligned_labels": aligned_labels,
        "labels": labels,
        "next_ids": _shift(input_ids, ends, 0),
        "next_labels": _shift(labels, ends, IGNORED_LABEL),
        "cu_seqlens": cu_seqlens,
    }


def _shift(values: torch.Tensor, ends: torch.Tensor, fill: int) -> torch.Tensor:
    moved = torch.full_like(values, fill)
    moved[:-1] = values[1:]
    moved[ends] = fill
    return moved
