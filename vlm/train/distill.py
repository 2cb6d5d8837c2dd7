"""The task of a student that learns what a teacher says, rounded as an export will be if asked for.

    loss = T^2 KL(softmax(teacher / T) || softmax(student / T))

over the next token, on logits alone. Rounded, it is quantization-aware distillation (QAD), with
the settings NVIDIA published: T = 1, a teacher of the same size in BF16, a learning rate of 1e-6
to 1e-5 for models of billions of parameters, and a student that starts where plain export ends.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from ...data.packed_batch import Batch
from ..model import VisionLanguageModel
from .answer_scores import AnswerScores, labelled
from .distill_settings import Distillation
from .input_ranges import inputs_changed, rounding_inputs
from .loss import next_token_loss
from .precision import Precision
from .row import run_row
from .stage import Stage
from .stored import StoredForm, weights_replaced
from .tasks import AnswersTask, Trainee


class DistillTask(AnswersTask):
    """KL to the teacher at the chosen positions, with the next-token loss beside it if weighted.

    Selection biases of experts stay as they are: a router must go on choosing as its teacher's.

    Args:
        teacher: in evaluation mode, where the trainee is.
        calibration: rows that make the ranges of activations, if they are not known yet.
    """

    def __init__(
        self,
        trainee: Trainee,
        stage: Stage,
        precision: Precision,
        *,
        teacher: VisionLanguageModel,
        calibration: Iterable[Batch] = (),
    ):
        super().__init__(trainee, stage, precision)
        assert stage.distill is not None
        self.settings: Distillation = stage.distill
        self.teacher = teacher.requires_grad_(False)
        quantize = self.settings.quantize
        self.stored = None
        if quantize is not None:
            recipe, layout = quantize.export_recipe(), quantize.export_layout
            self.stored = StoredForm(trainee.model, recipe, layout)
        self.rounds = trainee.ranges if quantize is not None and quantize.activations else None
        self._tensors: dict[str, Tensor] | None = None
        if self.rounds is not None and not self.rounds.are_known:
            self._calibrate(calibration)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        settings = self.settings
        with self.as_exported():
            _, hidden, row, masks = self._student(batch)
            places = self._places(row)
            logits = self.trainee.model.language_model.logits(hidden[places])
            kl, agree = divergence(logits, self._taught(batch, masks, places), settings.temperature)
            total = kl.mean() if len(kl) else logits.sum()
            parts = {"kl": total.detach(), "agreement": agree.sum() / max(len(agree), 1)}
            if settings.next_token:
                language_model = self.trainee.model.language_model
                short = self.weights.short_answers
                following, _ = next_token_loss(
                    language_model, hidden, row.labels, short_answers=short
                )
                total = total + settings.next_token * following
                parts["next"] = following.detach()
        return total, parts

    def after_step(self) -> None:
        """Weights have moved: they are rounded anew."""
        self._tensors = None

    @torch.no_grad()
    def evaluate(self, batches: list[Batch]) -> dict[str, float]:
        """Scores of the answers, and the mean KL and top-1 agreement where the loss is taken."""
        scores = AnswerScores()
        total, agreed, count = 0.0, 0, 0
        with self.as_exported():
            for batch in batches:
                _, hidden, row, masks = self._student(batch)
                language_model = self.trainee.model.language_model
                scores.add(language_model.logits(hidden[labelled(row)]), row)
                places = self._places(row)
                logits = language_model.logits(hidden[places])
                kl, agree = divergence(logits, self._taught(batch, masks, places), 1.0)
                total, agreed = total + float(kl.sum()), agreed + int(agree.sum())
                count += len(kl)
        return {
            "kl": total / max(count, 1),
            "agreement": agreed / max(count, 1),
            **scores.report(),
        }

    @contextlib.contextmanager
    def as_exported(self) -> Iterator[None]:
        """The student with its weights, and its inputs, as an export rounds them."""
        if self.stored is None:
            yield
            return
        if self._tensors is None:
            self._tensors = self.stored.tensors()
        model, formats = self.trainee.model, self.stored.formats
        with contextlib.ExitStack() as stack:
            stack.enter_context(weights_replaced(model, self._tensors))
            if self.rounds is not None:
                change = rounding_inputs(self.rounds, formats)
                stack.enter_context(inputs_changed(model, list(formats), change))
            yield

    def _student(self, batch: Batch) -> tuple[Tensor, Tensor, Batch, list[Tensor]]:
        gradient = torch.is_grad_enabled() and self.sees_gradient
        return run_row(self.trainee.model, batch, self.precision, tower_gradient=gradient)

    @torch.no_grad()
    def _taught(self, batch: Batch, masks: list[Tensor], places: Tensor) -> Tensor:
        """The teacher's logits at those places."""
        _, hidden, _, _ = run_row(
            self.teacher, batch, self.precision, tower_gradient=False, masks=masks
        )
        return self.teacher.language_model.logits(hidden[places])

    def _places(self, row: Batch) -> Tensor:
        if self.settings.positions == "answers":
            return labelled(row)
        config = self.trainee.model.config
        visual = (row.input_ids == config.image_token_id) | (
            row.input_ids == config.video_placeholder_id
        )
        return (~visual).nonzero().squeeze(1)

    @torch.no_grad()
    def _calibrate(self, rows: Iterable[Batch]) -> None:
        """The ranges of the student's inputs, its weights not rounded, as an export finds them."""
        assert self.rounds is not None and self.stored is not None
        model = self.trainee.model
        with inputs_changed(model, list(self.stored.formats), self.rounds.note):
            for batch in rows:
                _, hidden, row, _ = self._student(batch)
                model.language_model.logits(hidden[self._places(row)])


def divergence(logits: Tensor, taught: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """What a student's logits `(places, vocab)` lack of a teacher's.

    Returns:
        `T^2 KL(teacher || student)` in nats, float32 `(places,)`, and where both have the same
        likeliest token, bool `(places,)`.
    """
    log_q = (logits.float() / temperature).log_softmax(-1)
    log_p = (taught.float() / temperature).log_softmax(-1)
    kl = (log_p.exp() * (log_p - log_q)).sum(-1) * temperature**2
    return kl, logits.argmax(-1) == taught.argmax(-1)
