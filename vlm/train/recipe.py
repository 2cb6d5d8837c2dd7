"""What a training run is: a YAML file, read into frozen values and validated whole.

A recipe is a list of stages (`stage.py`); each has its own data, task, learning rates and
length, and starts from the weights the stage before it left. What holds for all of them is in
`settings.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from ...data.synthetic import GeneratorConfig
from ...data.synthetic.config import VIDEO_LEVEL
from ...errors import ConfigError
from .settings import (
    DataSettings,
    OptimizerSettings,
    ResolutionSettings,
    Start,
    TokenizerSettings,
)
from .stage import Stage
from .values import build


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole run.

    Attributes:
        name: of the model.
        seed: of weights and documents.
        preset: architecture, a name in `vlm/presets/`; or `start`, that of the model folder that
            the language model starts with, whose tokenizer and processor files are kept too.
        output: folder of checkpoints, logs, shards and the model.
        tower: what sees, in place of the preset's tower: the keys of a `vision_config` of
            `docs/own_parts.md`, such as `{library: timm, name: vit_tiny_patch16_224}`.
        start: parts that begin with other runs' weights instead of random ones; runs on several
            machines or cores are joined this way.
        precision: `float32`, or `bfloat16` (autocast; weights stay float32).
    """

    name: str
    seed: int
    preset: str
    output: str
    stages: tuple[Stage, ...]
    tower: dict[str, Any] | None = None
    start: tuple[Start, ...] = ()
    precision: Literal["float32", "bfloat16"] = "float32"
    tokenizer: TokenizerSettings = TokenizerSettings()
    resolution: ResolutionSettings = ResolutionSettings()
    data: DataSettings = DataSettings()
    optimizer: OptimizerSettings = OptimizerSettings()

    def __post_init__(self) -> None:
        if not self.stages:
            raise ConfigError("stages must have at least one entry")
        names = [stage.name for stage in self.stages]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"stages: the name {name!r} is used more than once")
        for config in self.videos:
            if config.frame_patches != self.resolution.video_num_patches:
                raise ConfigError(
                    f"frame_patches is {config.frame_patches} but resolution.video_num_patches is "
                    f"{self.resolution.video_num_patches}; make them equal, or frames are resized"
                )

    @property
    def rounds_inputs(self) -> bool:
        """Whether a stage rounds what goes into products, as readers of an export do."""
        settings = [stage.distill and stage.distill.quantize for stage in self.stages]
        return any(each is not None and each.activations for each in settings)

    @property
    def videos(self) -> tuple[GeneratorConfig, ...]:
        """What is drawn that is a video."""
        drawn = [entry.config for stage in self.stages for entry in stage.data]
        drawn += [stage.evaluation.data for stage in self.stages if stage.evaluation]
        return tuple(each for each in drawn if each is not None and each.level == VIDEO_LEVEL)


def read_recipe(path: str | Path) -> Recipe:
    """Read and validate a recipe.

    Raises:
        ConfigError: the file is missing, is no YAML, or a key or value in it is wrong.
    """
    path = Path(path)
    try:
        values = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigError(f"recipe {path} cannot be read ({error.strerror})") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"recipe {path} is not valid YAML ({error})") from error
    return parse_recipe(values, where=f"recipe {path}")


def parse_recipe(values: Any, *, where: str = "recipe") -> Recipe:
    """Validate a recipe given as a mapping."""
    return build(Recipe, values, where=where)
