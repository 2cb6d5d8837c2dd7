"""Questions asked of a model while it is trained: a callback for the training loop."""

import tempfile
from pathlib import Path
from typing import Any

import torch

from ..vlm.api import load
from ..vlm.model import VisionLanguageModel
from ..vlm.train.recipe import Recipe
from ..vlm.train.run import write_model
from .benchmarks import Loaded
from .metrics import Profile
from .responder import VLMResponder
from .scoring import FAILED, grade_response
from .totals import Scored, estimate


class TrainingQuestions:
    """For `Callbacks(evaluate=...)`: the strict score of a small benchmark, into the run's log.

    The model is written out and opened as a user would open it, so that what is asked is what
    would be exported, and training is not touched.

    Args:
        recipe: of the run, which says how the model is written.
        loaded: the questions.
    """

    def __init__(self, recipe: Recipe, loaded: Loaded) -> None:
        self._recipe, self._loaded = recipe, loaded

    def __call__(self, model: VisionLanguageModel, stage: Any, total_step: int) -> dict[str, float]:
        """`asked` (the mean score) from `asked_low` to `asked_high` (its 95% interval), and the
        shares `asked_failed` and `asked_cut_off`."""
        device = next(model.parameters()).device
        with (
            tempfile.TemporaryDirectory(prefix="latentvlm-") as folder,
            torch.autocast(device.type, enabled=False),
        ):
            path = Path(folder) / "model"
            write_model(self._recipe, model, path)
            vlm = load(path, device=device)
            responder = VLMResponder(vlm, name="in training")
            requests = [question.request for question in self._loaded.questions]
            responses = {each.id: each for each in responder.generate(requests)}
        scored, outcomes = [], []
        for question in self._loaded.questions:
            grade, outcome = grade_response(
                responses[question.id], question.gold, question.metric, Profile.STRICT
            )
            group = question.group or question.id
            scored.append(Scored(score=grade.score, kind="", group=group, counts=grade.counts))
            outcomes.append(outcome)
        found = estimate(scored)
        return {
            "asked": found.score,
            "asked_low": found.low,
            "asked_high": found.high,
            "asked_failed": outcomes.count(FAILED) / len(outcomes),
            "asked_cut_off": outcomes.count("cut_off") / len(outcomes),
        }
