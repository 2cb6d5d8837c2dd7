"""What a stage learns: a batch in, a loss and its parts out.

`Trainee` is everything with weights: the model and the character head beside it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor, nn

from ...data.packed_batch import Batch
from ..model import VisionLanguageModel
from .answer_scores import AnswerScores, labelled
from .balance import balance_loss, routed_tokens
from .char_head import CharHead, CharScores, char_loss
from .input_ranges import InputRanges
from .loss import balance_experts, mtp_loss, next_token_loss
from .precision import Precision
from .row import run_row, see
from .stage import Stage


class Trainee(nn.Module):
    """The model, and beside it what is dropped in the end: a head, the ranges of its inputs."""

    def __init__(self, model: VisionLanguageModel, ranges: InputRanges | None = None):
        super().__init__()
        self.model = model
        self.char_head = CharHead(model.config.vision.hidden_size)
        self.ranges = ranges


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

    def __init__(self, trainee: Trainee, stage: Stage, precision: Precision):
        self.trainee = trainee
        self.precision = precision
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
        return self.trainee.char_head(
            see(self.trainee.model, batch, self.precision)
        ), batch.char_targets


class AnswersTask:
    """Next tokens of answers, with the losses beside it that the stage asks for."""

    def __init__(self, trainee: Trainee, stage: Stage, precision: Precision):
        self.trainee = trainee
        self.precision = precision
        self.weights = stage.losses
        self.bias_rate = stage.expert_bias_rate
        rates = stage.learning_rates
        self.sees_gradient = rates.vision_encoder > 0 or stage.losses.char > 0
        self.mtp = stage.losses.mtp if trainee.model.language_model.mtp is not None else 0.0

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        if not self.weights.balance:
            return self._loss(batch)
        with routed_tokens(self.trainee.model) as seen:
            total, parts = self._loss(batch)
        balance = balance_loss(seen)
        if balance is not None:
            total = total + self.weights.balance * balance
            parts["balance"] = balance.detach()
        return total, parts

    def _loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        model, weights = self.trainee.model, self.weights
        features, hidden, batch = self._forward(batch)
        total, log_norms = next_token_loss(
            model.language_model, hidden, batch.labels, short_answers=weights.short_answers
        )
        parts = {"next": total.detach()}
        if weights.z:
            total = total + weights.z * log_norms.square().mean()
        if self.mtp:
            # The head reads ids: a visual token of a video is to it one of a picture.
            is_video = batch.next_ids == model.config.video_placeholder_id
            next_ids = batch.next_ids.masked_fill(is_video, model.config.image_token_id)
            batch = replace(batch, next_ids=next_ids)
            mtp = mtp_loss(model.language_model, hidden, batch)
            total = total + self.mtp * mtp
            parts["mtp"] = mtp.detach()
        if weights.char and batch.char_targets is not None:
            logits = self.trainee.char_head(features)
            char = char_loss(logits, batch.char_targets, blank_weight=weights.char_blank)
            total = total + weights.char * char
            parts["char"] = char.detach()
        return total, parts

    def after_step(self) -> None:
        """Balance the experts by the load of the step's last row."""
        if self.bias_rate:
            balance_experts(self.trainee.model, rate=self.bias_rate)

    @torch.no_grad()
    def evaluate(self, batches: list[Batch]) -> dict[str, float]:
        """Scores of the answers, as `AnswerScores` has them."""
        scores = AnswerScores()
        for batch in batches:
            _, hidden, batch = self._forward(batch)
            scores.add(self.trainee.model.language_model.logits(hidden[labelled(batch)]), batch)
        return scores.report()

    def _forward(self, batch: Batch) -> tuple[Tensor, Tensor, Batch]:
        """`run_row` of the trainee: tower features, hidden states and the row these are of."""
        with_gradient = torch.is_grad_enabled() and self.sees_gradient
        features, hidden, batch, _ = run_row(
            self.trainee.model, batch, self.precision, tower_gradient=with_gradient
        )
        return features, hidden, batch
