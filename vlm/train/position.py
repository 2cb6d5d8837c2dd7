"""Where a run stands: what a checkpoint keeps beside tensors."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...errors import CheckpointError, ConfigError
from .optimizer import schedule
from .recipe import Recipe
from .settings import OptimizerSettings
from .stage import Stage
from .state import read_state


@dataclass
class Position:
    """Counts of a run, and the loader's own position.

    Attributes:
        stage: name of the current stage.
        stage_step, total_step: steps done, in the stage and in all.
        documents: seen so far.
        seconds: of training so far, evaluations and checkpoints left out.
        restarted_at: step of the stage at which the optimizer started anew, -1 for never.
        loader: `state_dict()` of the loader, `None` at the start of a stage.
    """

    stage: str
    stage_step: int = 0
    total_step: int = 0
    documents: int = 0
    seconds: float = 0.0
    restarted_at: int = -1
    loader: dict[str, Any] | None = None

    @classmethod
    def read(cls, folder: Path, recipe: Recipe) -> Position:
        """The position of a checkpoint.

        Raises:
            CheckpointError: it cannot be read.
            ConfigError: the recipe has no stage of that name.
        """
        state = read_state(folder)
        state.pop("recipe", None)
        try:
            position = cls(**state)
        except TypeError as error:
            raise CheckpointError(f"the state of checkpoint {folder} is wrong: {error}") from error
        names = [stage.name for stage in recipe.stages]
        if position.stage not in names:
            raise ConfigError(
                f"checkpoint {folder} stopped in stage {position.stage!r}, which the recipe does "
                f"not have; its stages are {', '.join(names)}"
            )
        return position

    def to_json(self, recipe: Recipe) -> dict[str, Any]:
        """What the checkpoint writes."""
        return {"recipe": recipe.name, **asdict(self)}

    def enter(self, stage: Stage) -> None:
        """Go to the start of a stage, unless it is the current one."""
        if stage.name != self.stage:
            self.stage, self.stage_step = stage.name, 0
            self.restarted_at, self.loader = -1, None

    def rate_factor(self, stage: Stage, settings: OptimizerSettings) -> float:
        """Factor of the learning rates for the next step."""
        factor = schedule(
            self.stage_step,
            steps=stage.steps,
            warmup_steps=stage.warmup_steps,
            decay_fraction=stage.decay_fraction,
            kind=stage.schedule,
        )
        if self.restarted_at >= 0:
            since = self.stage_step - self.restarted_at + 1
            factor *= min(1.0, since / max(settings.restart_warmup_steps, 1))
        return factor
