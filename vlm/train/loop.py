"""The loop: stages, steps, log, evaluation, checkpoints, a time limit and a clean stop."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from ...data.loader import Loader
from ...data.packing import Batch
from ...data.producer import ShardProducer
from ...errors import ConfigError, LatentVLMError
from ..model import VisionLanguageModel
from .log import RunLog
from .optimizer import make_optimizer, rates_by_part, schedule, set_rates
from .plan import SyntheticPlan
from .progress import Meter, Progress
from .recipe import Recipe, Stage
from .setup import held_out_batches, make_examples, make_task
from .state import (
    checkpoints,
    has_optimizer,
    load_optimizer,
    load_weights,
    read_state,
    save_checkpoint,
)
from .tasks import Trainee

Resume = Literal["auto", "none", "weights"]
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
    """How a leg of a run ended."""

    finished: bool
    total_step: int
    seconds: float
    folder: Path


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
    with _stop_on_signals(run):
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
        self.progress = progress or Progress(visible=False)
        self.folder = Path(recipe.output)
        self.log = RunLog(self.folder)
        self.stopping = False
        self.stage_idx, self.stage_step, self.total_step = 0, 0, 0
        self.documents, self.seconds, self.restarted_at = 0, 0.0, -1
        self.loader_state: dict[str, Any] | None = None
        self.source: Path | None = None  # a checkpoint whose optimizer is still to be loaded

    def resume(self, mode: Resume) -> None:
        found = checkpoints(self.folder / "checkpoints")
        if mode == "none" or not found:
            self.log.rewind(-1)
            return
        folder = found[-1]
        state = read_state(folder)
        load_weights(folder, self.trainee)
        names = [stage.name for stage in self.recipe.stages]
        if state["stage"] not in names:
            raise ConfigError(
                f"checkpoint {folder} stopped in stage {state['stage']!r}, which the recipe does "
                f"not have; its stages are {', '.join(names)}"
            )
        self.stage_idx = names.index(state["stage"])
        self.stage_step, self.total_step = state["stage_step"], state["total_step"]
        self.documents, self.seconds = state["documents"], state["seconds"]
        self.restarted_at, self.loader_state = state["restarted_at"], state["loader"]
        if mode == "auto" and has_optimizer(folder):
            self.source = folder
        else:
            self.restarted_at = self.stage_step
        self.log.rewind(self.total_step)

    def run(self, limit: float | None) -> RunReport:
        started = time.monotonic()
        finished = True
        for idx in range(self.stage_idx, len(self.recipe.stages)):
            if idx > self.stage_idx:
                self.stage_idx, self.stage_step, self.restarted_at = idx, 0, -1
                self.loader_state, self.source = None, None
            if not self._stage(self.recipe.stages[idx], limit):
                finished = False
                break
        if self.log.entries():
            self.log.draw()
        return RunReport(
            finished=finished,
            total_step=self.total_step,
            seconds=time.monotonic() - started,
            folder=self.folder,
        )

    def _stage(self, stage: Stage, limit: float | None) -> bool:
        """Run one stage; False if it was stopped before its end."""
        if self.stage_step >= stage.steps:
            return True
        recipe, device = self.recipe, self.device
        config = self.trainee.model.config
        examples = make_examples(recipe, stage, config)
        plan = SyntheticPlan(
            seed=recipe.seed,
            stage=stage.name,
            mixture=stage.data,
            documents_per_shard=recipe.data.documents_per_shard,
            distinct_shards=recipe.data.distinct_shards,
        )
        task = make_task(self.trainee, stage)
        char = stage.task == "tower" or stage.losses.char > 0
        optimizer = make_optimizer(
            self.trainee, rates_by_part(stage.learning_rates, char=char), recipe.optimizer
        )
        if self.source is not None:
            load_optimizer(self.source, optimizer)
            self.source = None
        trained = [p for group in optimizer.param_groups for p in group["params"]]
        held_out = held_out_batches(recipe, stage, examples)
        producer = ShardProducer(
            plan,
            self.folder / "shards" / stage.name,
            workers=recipe.data.workers,
            ahead=recipe.data.ahead,
            keep=recipe.data.keep_shards,
            cpus=recipe.data.cpus or None,
        )
        loader = Loader(producer, examples, limits=stage.rows, on_error=recipe.data.on_error)
        if self.loader_state is not None:
            loader.load_state_dict(self.loader_state)
        self.trainee.train()
        meter = Meter()
        bad_steps = 0
        self.progress.start(f"{recipe.name}: {stage.name}", stage.steps, self.stage_step)
        try:
            while self.stage_step < stage.steps:
                if self.stopping or (limit is not None and time.monotonic() > limit):
                    self._checkpoint(stage, optimizer, loader)
                    return False
                factor = self._factor(stage)
                set_rates(optimizer, factor)
                optimizer.zero_grad(set_to_none=True)
                for _ in range(stage.rows_per_step):
                    with meter.waiting():
                        batch = next(loader).to(device)
                    with self._precision():
                        loss, parts = task.loss(batch)
                    (loss / stage.rows_per_step).backward()
                    meter.add(batch, {"loss": loss.detach(), **parts})
                    self.documents += batch.num_examples
                norm = torch.nn.utils.clip_grad_norm_(trained, stage.grad_clip)
                if bool(torch.isfinite(norm)):
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
                self.stage_step += 1
                self.total_step += 1
                last = self.stage_step == stage.steps
                self.progress.advance(meter.last_loss)
                if last or self.stage_step % stage.log_every == 0:
                    self._log_training(stage, meter, factor, float(norm), loader)
                evaluation = stage.evaluation
                if evaluation and (last or self.stage_step % evaluation.every == 0):
                    self._evaluate(stage, task, held_out)
                    meter.restart()
                if last or self.stage_step % stage.checkpoint_every == 0:
                    self._checkpoint(stage, optimizer, loader)
                    meter.restart()
        finally:
            producer.close()
            self.progress.stop()
        return True

    def _factor(self, stage: Stage) -> float:
        factor = schedule(
            self.stage_step,
            steps=stage.steps,
            warmup_steps=stage.warmup_steps,
            decay_fraction=stage.decay_fraction,
            kind=stage.schedule,
        )
        if self.restarted_at >= 0:
            since = self.stage_step - self.restarted_at + 1
            factor *= min(1.0, since / max(self.recipe.optimizer.restart_warmup_steps, 1))
        return factor

    def _precision(self) -> contextlib.AbstractContextManager:
        if self.recipe.precision == "bfloat16" and self.device.type == "cuda":
            return torch.autocast("cuda", dtype=torch.bfloat16)
        return contextlib.nullcontext()

    def _log_training(
        self, stage: Stage, meter: Meter, factor: float, norm: float, loader: Loader
    ) -> None:
        rates = meter.report()
        self.seconds += rates["time"]
        entry = {
            "kind": "train",
            "stage": stage.name,
            "step": self.stage_step,
            "total_step": self.total_step,
            **rates,
            "lr_factor": factor,
            "grad_norm": norm,
            "documents": self.documents,
            "seconds": self.seconds,
            "skipped": loader.skipped + loader.reader.skipped,
        }
        self.log.write(entry)
        self.progress.say(entry)

    def _evaluate(self, stage: Stage, task: Any, held_out: list[Batch]) -> None:
        started = time.monotonic()
        self.trainee.eval()
        with torch.no_grad(), self._precision():
            scores = task.evaluate([batch.to(self.device) for batch in held_out])
            if self.callbacks.evaluate is not None:
                model = self.trainee.model
                scores.update(self.callbacks.evaluate(model, stage, self.total_step))
        entry = {
            "kind": "evaluation",
            "stage": stage.name,
            "step": self.stage_step,
            "total_step": self.total_step,
            "documents": self.documents,
            "seconds": self.seconds,
            "time": time.monotonic() - started,
            **scores,
        }
        self.log.write(entry)
        self.progress.say(entry)
        self.trainee.train()

    def _checkpoint(self, stage: Stage, optimizer: torch.optim.Optimizer, loader: Loader) -> None:
        save_checkpoint(
            self.folder / "checkpoints",
            module=self.trainee,
            optimizer=optimizer,
            state={
                "recipe": self.recipe.name,
                "stage": stage.name,
                "stage_step": self.stage_step,
                "total_step": self.total_step,
                "documents": self.documents,
                "seconds": self.seconds,
                "restarted_at": self.restarted_at,
                "loader": loader.state_dict(),
            },
        )
        if self.log.entries():
            self.log.draw()
        if self.callbacks.checkpoint is not None:
            self.callbacks.checkpoint(self.trainee.model, self.total_step)


@contextlib.contextmanager
def _stop_on_signals(run: _Run) -> Iterator[None]:
    """SIGTERM and SIGINT ask for a checkpoint and a stop after the current step."""

    def ask(*_: object) -> None:
        run.stopping = True

    before = {}
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(ValueError):  # not in the main thread
            before[number] = signal.signal(number, ask)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
