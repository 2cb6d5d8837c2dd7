"""What a stage learns: a batch in, a loss and its parts out.

`Trainee` is everything with weights: the model and the character head beside it.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from ...data.packing import Batch
from ..model import VisionLanguageModel
from .char_head import CharHead, CharScores, char_loss
from .recipe import Stage


class Trainee(nn.Module):
    """The model and the head that is dropped from it in the end."""

    def __init__(self, model: VisionLanguageModel):
        super().__init__()
        self.model = model
        self.char_head = CharHead(model.config.vision.hidden_size)


class Task(Protocol):
    """A task computes losses of batches and scores held-out ones."""

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss to minimise, and its parts for the log."""
        ...

    def evaluate(self, batches: list[Batch]) -> dict[str, float]:
        """Scores on held-out batches."""
        ...

    def after_step(self) -> None:
        """What follows an optimizer step."""
        ...


class TowerTask:
    """Characters in patches, learnt by the tower alone."""

    def __init__(self, trainee: Trainee, stage: Stage):
        self.trainee = trainee
        self.blank_weight = stage.losses.char_blank

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        logits, targets = self._logits(batch)
        loss = char_loss(logits, targets, blank_weight=self.blank_weight)
        return loss, {"char": loss.detach()}

    @torch.no_grad()
    def evaluate(self, batches: list[Batch]) -> dict[str, float]:
        scores = CharScores()
        losses = []
        for batch in batches:
            logits, targets = self._logits(batch)
            losses.append(char_loss(logits, targets, blank_weight=self.blank_weight).item())
            scores.add(logits, targets, batch.image_grid_hw)
        return {"loss": sum(losses) / max(len(losses), 1), **scores.report()}

    def after_step(self) -> None:
        """The tower has no state beside its weights."""

    def _logits(self, batch: Batch) -> tuple[Tensor, Tensor]:
        assert batch.char_targets is not None, "tower stages need documents with characters"
        features = self.trainee.model.vision_encoder(batch.pixel_values, batch.image_grid_hw)
        return self.trainee.char_head(features), batch.char_targets
