"""What a stage learns: a batch in, a loss and its parts out.

`Trainee` is everything with weights: the model and the character head beside it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor, nn

from ...data.packing import IGNORE, Batch
from ..model import VisionLanguageModel
from ..pruning import kept_tokens, row_mask, video_masks
from .balance import balance_loss, routed_tokens
from .char_head import CharHead, CharScores, char_loss
from .loss import balance_experts, mtp_loss, next_token_loss
from .precision import Precision
from .recipe import Stage


class Trainee(nn.Module):
    """The model and the head that is dropped from it in the end."""

    def __init__(self, model: VisionLanguageModel):
        super().__init__()
        self.model = model
        self.char_head = CharHead(model.config.vision.hidden_size)

    def see(self, batch: Batch, precision: Precision) -> Tensor:
        """Tower features `(patches, hidden)` of a batch's pictures; float32 but under autocast."""
        if not len(batch.pixel_values):
            return batch.pixel_values.new_zeros(0, self.model.vision_encoder.hidden_size)
        with precision.around_tower():
            features = self.model.vision_encoder(batch.pixel_values, batch.image_grid_hw)
        return features.float() if precision.tower else features

    def see_videos(self, batch: Batch, precision: Precision) -> Tensor | None:
        """The same of the tubelets of its videos; None if it has none."""
        if batch.pixel_values_videos is None or batch.video_grid_thw is None:
            return None
        tower = self.model.vision_encoder
        with precision.around_tower():
            features = tower.encode_tubelets(batch.pixel_values_videos, batch.video_grid_thw)
        return features.float() if precision.tower else features


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
        return self.trainee.char_head(self.trainee.see(batch, self.precision)), batch.char_targets


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
        """Loss, share of right tokens, and share of answers right in every token.

        An answer is right in every token, its end included, exactly if greedy decoding would
        give it; so `exact` needs no decoding. It is reported for each kind of question too.
        """
        language_model = self.trainee.model.language_model
        loss, tokens, right = 0.0, 0, 0
        by_kind: dict[str, list[int]] = {}
        for batch in batches:
            _, hidden, batch = self._forward(batch)
            places = (batch.labels != IGNORE).nonzero().squeeze(1)
            logits, labels = language_model.logits(hidden[places]), batch.labels[places]
            loss += float(torch.nn.functional.cross_entropy(logits, labels, reduction="sum"))
            hits = logits.argmax(-1) == labels
            tokens, right = tokens + len(places), right + int(hits.sum())
            # Answers are runs of labelled places; questions lie between them.
            starts = [0, *((places.diff() > 1).nonzero().squeeze(1) + 1).tolist(), len(places)]
            whole = [
                bool(hits[a:b].all()) for a, b in zip(starts, starts[1:], strict=False) if b > a
            ]
            for kind, is_right in zip(batch.kinds, whole, strict=True):
                by_kind.setdefault(kind, []).append(int(is_right))
        everything = [hit for hits_of_kind in by_kind.values() for hit in hits_of_kind]
        return {
            "loss": loss / max(tokens, 1),
            "token_accuracy": right / max(tokens, 1),
            "exact": sum(everything) / max(len(everything), 1),
            **{f"exact {kind}": sum(hit) / len(hit) for kind, hit in sorted(by_kind.items())},
        }

    def _forward(self, batch: Batch) -> tuple[Tensor, Tensor, Batch]:
        """What a batch becomes.

        Returns:
            Tower features `(patches, width)` of its pictures, hidden states `(tokens, hidden)`,
            and the row these are of, without what EVS drops.
        """
        model = self.trainee.model
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.sees_gradient):
            features = self.trainee.see(batch, self.precision)
            of_videos = self.trainee.see_videos(batch, self.precision)
        images = [model.project(features, batch.image_grid_hw)] if len(features) else []
        videos: list[Tensor] = []
        if of_videos is not None and batch.video_grid_thw is not None:
            videos = model.project_videos(of_videos, batch.video_grid_thw)
        tokens = [video.flatten(0, 2) for video in videos]
        if batch.evs:
            masks = video_masks(videos, batch.evs)
            placeholder_id = model.config.video_placeholder_id
            batch = batch.keep(row_mask(batch.input_ids, masks, placeholder_id))
            tokens = kept_tokens(videos, masks)
        embeds = model.place(batch.input_ids, images, tokens)
        return features, model.language_model(embeds, cu_seqlens=batch.cu_seqlens), batch
