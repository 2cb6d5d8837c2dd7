"""What EVS drops leaves a row everywhere at once: ids, embeddings, labels.

A row is built with a placeholder for every visual token. Once its videos are encoded it is known
which of them go, and then one mask over the row takes them out of everything that is aligned
with it; so labels, placeholder runs and positions, which are counted in the row that is left,
can never disagree. Labels of frames stay, also of those that keep no token, as published.

Letters: T tokens of the row, K of them kept, V visual tokens, D hidden.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import FusionError
from ..token_reduction.evs import EVSPlan, retention_mask


def video_masks(videos: Sequence[Tensor], plans: Sequence[EVSPlan]) -> list[Tensor]:
    """Of each encoded video `(t, h, w, D)` which tokens stay, bool `(t, h, w)`.

    Raises:
        InputError: a plan is of another shape.
        FusionError: there are not as many plans as videos.
    """
    if len(videos) != len(plans):
        raise FusionError(f"There are EVS plans of {len(plans)} videos, but {len(videos)} videos.")
    return [retention_mask(video, plan) for video, plan in zip(videos, plans, strict=True)]


def row_mask(input_ids: Tensor, masks: Sequence[Tensor], placeholder_id: int) -> Tensor:
    """Which tokens of a row stay, bool `(T,)`: all but the placeholders of dropped tokens.

    Args:
        input_ids: `(T,)`, with a placeholder for every visual token of every video.
        masks: of each video in order, bool.

    Raises:
        FusionError: placeholders and visual tokens differ in number.
    """
    is_video = input_ids == placeholder_id
    stays = torch.cat([mask.flatten() for mask in masks])
    places = int(is_video.sum())
    if places != stays.numel():
        raise FusionError(
            f"The prompt has {places} video placeholders (id {placeholder_id}) but the videos give "
            f"{stays.numel()} visual tokens before pruning."
        )
    keep_T = torch.ones_like(is_video)
    keep_T[is_video] = stays.to(keep_T.device)
    return keep_T


def kept_tokens(videos: Sequence[Tensor], masks: Sequence[Tensor]) -> list[Tensor]:
    """Visual tokens `(V, D)` of each video that stay, in order."""
    return [video[mask] for video, mask in zip(videos, masks, strict=True)]
