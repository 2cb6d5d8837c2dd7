"""The loop: stages, steps, log, evaluation, checkpoints, a time limit and a clean stop."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from ...data.loader import Loader
from ...data.packed_batch import Batch
from ...data.parallel_loader import ParallelLoader
from ...errors import LatentVLMError
from ..model import VisionLanguageModel
from .log import RunLog
from .optimizer import make_optimizers, rates_by_part, set_rates
from .position import Position
from .precision import Precision
from .progress import Meter, Progress
from .recipe import Recipe
from .setup import held_out_batches, make_examples, make_rows, make_task, warm_start
from .signals import on_stop_signals
from .stage import Stage
from .state import checkpoints, has_optimizer, load_optimizers, load_weights, save_checkpoint
from .tasks import Task, Trainee

Resume = Literal["auto", "none", "weights"]
Rows = Loader | ParallelLoader
MAX_BAD_STEPS = 20


@dataclass(frozen=True, kw_only=True)
class Callbacks:
    """What others add to a run.

    Attributes:
        evaluate: `(model, stage, total_step) -> scores`, called after the task's own held-out
            evaluation; the model is in evaluation mode.
        checkpoint: `(model, total_step)`, called after each checkpoint and at the end.
    """

    evaluate: Callable[[VisionLanguageModel, Stage, int], dict[str, float]] | None = None
    checkpoint: Callable[[VisionLanguageModel, int], None] | None = None


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """How a leg of a run ended.

    Attributes:
        interrupted: whether Ctrl-C ended it.
    """

    finished: bool
    total_step: int
    seconds: float
    folder: Path
    interrupted: bool = False


def train(
    recipe: Recipe,
    trainee: Trainee,
    *,
    callbacks: Callbacks | None = None,
    max_minutes: float | None = None,
    resume: Resume = "auto",
    device: str | torch.device = "cpu",
    progress: Progress | None = None,
) -> RunReport:
    """Run a recipe from where its last checkpoint left it, to its end or a time limit.

    Args:
        recipe: what to do.
        trainee: freshly made; its weights are replaced by those of a checkpoint.
        resume: `auto` continues the newest checkpoint exactly (or from its weights alone, if
            its optimizer state did not travel), `weights` restarts the optimizer with a short
            warm-up, `none` starts anew and leaves old checkpoints to be overwritten.

    Raises:
        LatentVLMError: the loss stayed infinite or not a number, or a checkpoint is broken.
    """
    run = _Run(recipe, trainee, callbacks or Callbacks(), torch.device(device), progress)
    run.resume(resume)
    limit = None if max_minutes is None else time.monotonic() + 60 * max_minutes
    with on_stop_signals(run.stop):
        return run.run(limit)


class _Run:
    def __init__(
        self,
        recipe: Recipe,
        trainee: Trainee,
        callbacks: Callbacks,
        device: torch.device,
        progress: Progress | None,
    ):
        self.recipe, self.callbacks, self.device = recipe, callbacks, device
        self.trainee = trainee.to(device)
        self.precision = Precision.of(recipe.precision, device)
        self.progress = progress or Progress(visible=False)
        self.folder = Path(recipe.output)
        self.log = RunLog(self.folder)
        self.stopping = self.interrupted = False
        self.position = Position(stage=recipe.stages[0].name)
        self.source: Path | None = None  # a checkpoint whose optimizer is still to be loaded

    def stop(self, number: int) -> None:
        self.stopping, self.interrupted = True, number == signal.SIGINT

    def resume(self, mode: Resume) -> None:
        found = checkpoints(self.folder / "checkpoints")
        if mode == "none" or not found:
            warm_start(self.recipe, self.trainee)
            self.log.rewind(-1)
            return
        folder = found[-1]
        self.position = Position.read(folder, self.recipe)
        load_weights(folder, self.trainee)
        if mode == "auto" and has_optimizer(folder):
            self.source = folder
        else:
            self.position.restarted_at = self.position.stage_step
        self.log.rewind(self.position.total_step)

    def run(self, limit: float | None) -> RunReport:
        started = time.monotonic()
        stages = list(self.recipe.stages)
        names = [stage.name for stage in stages]
        finished = True
        for stage in stages[names.index(self.position.stage) :]:
            self.position.enter(stage)
            if self.position.stage_step < stage.steps and not self._stage(stage, limit):
                finished = False
                break
            self.source = None
        if self.log.entries():
            self.log.draw()
        return RunReport(
            finished=finished,
            total_step=self.position.total_step,
            seconds=time.monotonic() - started,
            folder=self.folder,
            interrupted=not finished and self.interrupted,
        )

    def _stage(self, stage: Stage, limit: float | None) -> bool:
        """Run one stage; False if it was stopped before its end."""
        recipe, position = self.recipe, self.position
        config = self.trainee.model.config
        task = make_task(recipe, self.trainee, stage, self.precision, self.device)
        char = stage.task == "tower" or stage.losses.char > 0
        rates = rates_by_part(stage.learning_rates, char=char)
        optimizers = make_optimizers(self.trainee, rates, recipe.optimizer, stage.optimizer)
        if self.source is not None:
            load_optimizers(self.source, optimizers)
        trained = [p for p in self.trainee.parameters() if p.requires_grad]
        held_out = held_out_batches(recipe, stage, make_examples(recipe, stage, config))
        loader = make_rows(recipe, stage, config)
        if position.loader is not None:
            loader.load_state_dict(position.loader)
        self.trainee.train()
        meter = Meter()
        bad_steps = 0
        self.progress.start(f"{recipe.name}: {stage.name}", stage.steps, position.stage_step)
        try:
            while position.stage_step < stage.steps:
                if self.stopping or (limit is not None and time.monotonic() > limit):
                    self._checkpoint(optimizers, loader)
                    return False
                factor = position.rate_factor(stage, recipe.optimizer)
                set_rates(optimizers, factor)
                self.trainee.zero_grad(set_to_none=True)
                for _ in range(stage.rows_per_step):
                    self._row(stage, task, loader, meter)
                norm = torch.nn.utils.clip_grad_norm_(trained, stage.grad_clip)
                if bool(torch.isfinite(norm)):
                    for optimizer in optimizers:
                        optimizer.step()
                    task.after_step()
                    bad_steps = 0
                else:
                    bad_steps += 1
                    if bad_steps >= MAX_BAD_STEPS:
                        raise LatentVLMError(
                            f"the gradient was not finite for {bad_steps} steps of stage "
                            f"{stage.name!r}; lower its learning_rates or grad_clip"
                        )
                position.stage_step += 1
                position.total_step += 1
                last = position.stage_step == stage.steps
                self.progress.advance(meter.last_loss)
                if last or position.stage_step % stage.log_every == 0:
                    rates_now = meter.report()
                    position.seconds += rates_now["time"]
                    norms = {"lr_factor": factor, "grad_norm": float(norm)}
                    self._say("train", {**rates_now, **norms, "skipped": loader.num_skipped})
                evaluation = stage.evaluation
                if evaluation and (last or position.stage_step % evaluation.every == 0):
                    self._evaluate(stage, task, held_out)
                    meter.restart()
                if last or position.stage_step % stage.checkpoint_every == 0:
                    self._checkpoint(optimizers, loader)
                    meter.restart()
        finally:
            loader.close()
            self.progress.stop()
        return True

    def _row(self, stage: Stage, task: Task, loader: Rows, meter: Meter) -> None:
        with meter.waiting():
            batch = next(loader).to(self.device)
        with self.precision.around_all():
            loss, parts = task.loss(batch)
        (loss / stage.rows_per_step).backward()
        meter.add(batch, {"loss": loss.detach(), **parts})
        self.position.documents += batch.num_examples

    def _evaluate(self, stage: Stage, task: Task, held_out: list[Batch]) -> None:
        started = time.monotonic()
        self.trainee.eval()
        with torch.no_grad(), self.precision.around_all():
            scores = task.evaluate([batch.to(self.device) for batch in held_out])
            if self.callbacks.evaluate is not None:
                model, step = self.trainee.model, self.position.total_step
                scores.update(self.callbacks.evaluate(model, stage, step))
        self._say("evaluation", {"time": time.monotonic() - started, **scores})
        self.trainee.train()

    def _say(self, kind: str, values: dict[str, Any]) -> None:
        position = self.position
        entry = {
            "kind": kind,
            "stage": position.stage,
            "step": position.stage_step,
            "total_step": position.total_step,
            "documents": position.documents,
            "seconds": position.seconds,
            **values,
        }
        self.log.write(entry)
        self.progress.say(entry)

    def _checkpoint(self, optimizers: list[torch.optim.Optimizer], loader: Rows) -> None:
        self.position.loader = loader.state_dict()
        save_checkpoint(
            self.folder / "checkpoints",
            module=self.trainee,
            optimizers=optimizers,
            state=self.position.to_json(self.recipe),
        )
        if self.log.entries():
            self.log.draw()
        if self.callbacks.checkpoint is not None:
            self.callbacks.checkpoint(self.trainee.model, self.position.total_step)
