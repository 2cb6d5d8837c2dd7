"""A packed row of training through a model: the same for who learns and for who teaches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from ...data.packed_batch import Batch, Example
from ...data.packing import Packer, RowLimits
from ...token_reduction.evs import EVSRates
from ..model import VisionLanguageModel
from ..pruning import kept_tokens, row_mask, video_masks
from .precision import Precision


def rows_of(
    examples: Iterable[Example | None], limits: RowLimits, evs: EVSRates | None = None
) -> Iterator[Batch]:
    """Examples in rows, in order; those that fit none, and None, are left out."""
    packer = Packer(replace(limits, open_rows=1), evs)
    rows = [
        packer.add(None, example)
        for example in examples
        if example is not None and packer.fits_alone(example)
    ]
    rows.append(packer.take())
    yield from (packer.pack(row) for row in rows if row)


def see(model: VisionLanguageModel, batch: Batch, precision: Precision) -> Tensor:
    """Tower features `(patches, hidden)` of a row's pictures; float32 but under autocast."""
    if not len(batch.pixel_values):
        return batch.pixel_values.new_zeros(0, model.vision_encoder.hidden_size)
    with precision.around_tower():
        features = model.vision_encoder(batch.pixel_values, batch.image_grid_hw)
    return features.float() if precision.tower else features


def see_videos(model: VisionLanguageModel, batch: Batch, precision: Precision) -> Tensor | None:
    """The same of the tubelets of its videos; None if it has none."""
    if batch.pixel_values_videos is None or batch.video_grid_thw is None:
        return None
    tower = model.vision_encoder
    with precision.around_tower():
        features = tower.encode_tubelets(batch.pixel_values_videos, batch.video_grid_thw)
    return features.float() if precision.tower else features


def run_row(
    model: VisionLanguageModel,
    batch: Batch,
    precision: Precision,
    *,
    tower_gradient: bool,
    masks: list[Tensor] | None = None,
) -> tuple[Tensor, Tensor, Batch, list[Tensor]]:
    """What a row becomes in a model.

    Args:
        masks: of each video what EVS keeps, where that is decided already.

    Returns:
        Tower features `(patches, width)` of its pictures, hidden states `(tokens, hidden)`, the
        row these are of, without what EVS drops, and the masks.
    """
    with torch.set_grad_enabled(tower_gradient):
        features = see(model, batch, precision)
        of_videos = see_videos(model, batch, precision)
    images = [model.project(features, batch.image_grid_hw)] if len(features) else []
    videos: list[Tensor] = []
    if of_videos is not None and batch.video_grid_thw is not None:
        videos = model.project_videos(of_videos, batch.video_grid_thw)
    tokens = [video.flatten(0, 2) for video in videos]
    kept: list[Tensor] = []
    if batch.evs:
        kept = video_masks(videos, batch.evs) if masks is None else masks
        placeholder_id = model.config.video_placeholder_id
        batch = batch.keep(row_mask(batch.input_ids, kept, placeholder_id))
        tokens = kept_tokens(videos, kept)
    embeds = model.place(batch.input_ids, images, tokens)
    hidden = model.language_model(embeds, cu_seqlens=batch.cu_seqlens)
    return features, hidden, batch, kept
