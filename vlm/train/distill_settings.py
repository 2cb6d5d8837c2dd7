"""What a `distill` stage is told: its teacher, and the export that the student is trained for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...errors import ConfigError
from ..api import PRETRAINED
from ..export.all_recipes import layouts_of
from ..export.layouts import LAYOUTS, Layout
from ..export.recorded import recorded_recipe
from ..quantize.recipes import AUTO, recipe_named
from ..quantize.recipes import Recipe as ExportRecipe


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """The export that the student is rounded for, in every forward, as `latentvlm export` rounds.

    Attributes:
        recipe: a name of an export's recipe, such as `nano-vl-nvfp4`, or the folder of an export,
            whose table is taken: so one that `auto` found.
        layout: `modelopt` or `compressed-tensors`; the first that has the recipe, if empty.
        changes: `CLASS=FORMAT`, as `--set` of the export.
        activations: also round what goes into the products, where readers of the format do.
        calibration: documents that the scales of activations are made for.
    """

    recipe: str
    layout: str = ""
    changes: tuple[str, ...] = ()
    activations: bool = True
    calibration: int = 32

    def __post_init__(self) -> None:
        if self.recipe == AUTO:
            raise ConfigError(
                "recipe auto is a search; export by it once, and give the folder of that export"
            )
        self.export_recipe()
        if self.layout not in ("", *LAYOUTS):
            raise ConfigError(f"layout is {self.layout!r}; it must be {' or '.join(LAYOUTS)}")
        if self.calibration < 1:
            raise ConfigError(f"calibration must be at least 1, not {self.calibration}")

    def export_recipe(self) -> ExportRecipe:
        """The table of formats."""
        recorded = recorded_recipe(self.recipe)
        found = recipe_named(self.recipe) if recorded is None else recorded[0]
        return found.changed(self.changes)

    @property
    def export_layout(self) -> Layout:
        """How the export is laid out."""
        if self.layout:
            return self.layout  # type: ignore[return-value]  # checked
        recorded = recorded_recipe(self.recipe)
        return layouts_of(self.recipe)[0] if recorded is None else recorded[1]


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """How a student learns what a teacher says.

    The loss is the KL divergence of the student's next token from the teacher's (Hinton et al.,
    arXiv:1503.02531), of logits alone.

    Attributes:
        teacher: a model folder, or `default` for the model that ships.
        quantize: round the student as an export will; None distils in full precision.
        positions: `answers` learns at the tokens of answers, `all` at every token but visual ones.
        temperature: of both distributions; the loss is multiplied by its square.
        next_token: weight of the usual loss on the answers beside it.
    """

    teacher: str
    quantize: Quantization | None = None
    positions: Literal["answers", "all"] = "answers"
    temperature: float = 1.0
    next_token: float = 0.0

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ConfigError(f"temperature must be above 0, not {self.temperature}")
        if self.next_token < 0:
            raise ConfigError(f"next_token must not be below 0, but is {self.next_token}")

    @property
    def folder(self) -> Path:
        """Where the teacher is."""
        return PRETRAINED if self.teacher == "default" else Path(self.teacher).expanduser()
