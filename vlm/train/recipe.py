"""What a training run is: a YAML file, read into frozen values and validated whole.

A recipe is a list of stages; each has its own data, task, learning rates and length, and
starts from the weights the stage before it left.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from ...data.packing import RowLimits
from ...data.shards import OnError
from ...data.synthetic import GeneratorConfig
from ...data.synthetic.config import VIDEO_LEVEL
from ...errors import ConfigError
from ...token_reduction.evs import EVSConfig, EVSRates
from .distill_settings import Distillation
from .values import build

Part = Literal["vision_encoder", "projector", "language_model"]


@dataclass(frozen=True, kw_only=True)
class MixtureEntry:
    """One kind of document and how often it comes, relative to the others.

    Attributes:
        config: what to draw; or
        shards: a folder of shards to read, over and over.
        weight: how many documents; beside `shards`, how many whole shards.
        pages: least and most pages of a document, beside `config`; asked about together.
    """

    config: GeneratorConfig | None = None
    shards: str = ""
    weight: float = 1.0
    pages: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        if (self.config is None) == (not self.shards):
            raise ConfigError("give config (documents to draw) or shards (a folder to read)")
        if self.weight <= 0:
            raise ConfigError(f"weight must be above 0, not {self.weight}")
        if self.pages != (1, 1):
            low, high = self.pages
            if not 2 <= low <= high <= 32:
                raise ConfigError(f"pages is [{low}, {high}]; it must rise within 2 to 32")
            if self.config is None or self.config.level not in ("lines", "small", "page"):
                raise ConfigError("pages needs a config of level lines, small or page")


@dataclass(frozen=True, kw_only=True)
class LearningRates:
    """Peak learning rate of each part of the model; a part at 0 is frozen."""

    vision_encoder: float = 0.0
    projector: float = 0.0
    language_model: float = 0.0

    def __post_init__(self) -> None:
        for part, rate in vars(self).items():
            if rate < 0:
                raise ConfigError(f"{part} must not be below 0, but is {rate}")
        if not any(vars(self).values()):
            raise ConfigError("at least one part must have a learning rate above 0")


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """Weights of the losses beside next-token prediction (which has weight 1).

    Attributes:
        mtp: the token after the next, by the MTP head.
        char: which character stands in which patch, by the character head.
        char_blank: weight of an empty slot in the character loss; most slots are empty.
        balance: even load of the experts, as `balance.py` has it; Jamba's weight is 1e-3. Routers
            with a selection bias are balanced by `expert_bias_rate` already.
        z: squared log-normaliser of the logits, keeps them from drifting.
        short_answers: how far short answers are raised over long ones: a token of an answer of n
            tokens weighs n to the power of minus this. At 0 all tokens weigh the same, at 1 all
            answers, so that a "Yes" counts as much as a page read aloud.
    """

    mtp: float = 0.0
    char: float = 0.0
    char_blank: float = 0.1
    balance: float = 0.0
    z: float = 0.0
    short_answers: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Held-out documents read now and then.

    Attributes:
        data: what they look like; give `split: heldout`. Or
        shards: a folder of shards, whose first `documents` records are read.
        documents: how many, the same ones every time.
        every: steps between two evaluations.
        evs_rate: share of the visual tokens of videos that is dropped.
    """

    data: GeneratorConfig | None = None
    shards: str = ""
    documents: int = 128
    every: int = 500
    evs_rate: float = 0.0

    def __post_init__(self) -> None:
        EVSConfig(rate=self.evs_rate)
        if (self.data is None) == (not self.shards):
            raise ConfigError("give data (documents to draw) or shards (a folder to read)")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One part of the curriculum.

    Attributes:
        name: unique in the recipe; names the folder of its shards.
        task: `tower` (characters in patches, the tower alone), `answers` (the whole model) or
            `distill` (the whole model, from a teacher).
        distill: of such a stage; of `losses` it has `short_answers` alone, for its `next_token`.
        data: kinds of documents, with weights.
        steps: length of the stage.
        learning_rates: peak per part; parts at 0 are frozen and run without gradients.
        optimizer: `adamw`, or `muon` for the matrices inside the model and AdamW for the rest.
        schedule: `wsd` (warm up, stay, decay) or `constant` (warm up, stay).
        warmup_steps: linear rise from 0.
        decay_fraction: share of the stage, at its end, over which the rate falls to 0.
        rows: size of a packed row; one step takes `rows_per_step` of them.
        questions: the most questions asked of one document in one conversation.
        evs: rates at which visual tokens of videos are dropped, another one for every row, such
            as `{rates: [0, 0.5, 0.75, 0.9]}`; `rows` counts the tokens that are left.
        grad_clip: largest norm of the gradient, over all parts.
        expert_bias_rate: step of the expert balancing bias.
        log_every, checkpoint_every: steps.
    """

    name: str
    task: Literal["tower", "answers", "distill"]
    data: tuple[MixtureEntry, ...]
    steps: int
    learning_rates: LearningRates
    optimizer: Literal["adamw", "muon"] = "adamw"
    schedule: Literal["wsd", "constant"] = "wsd"
    warmup_steps: int = 100
    decay_fraction: float = 0.2
    rows: RowLimits = RowLimits()
    rows_per_step: int = 1
    questions: int = 3
    evs: EVSRates = EVSRates()
    losses: LossWeights = LossWeights()
    distill: Distillation | None = None
    grad_clip: float = 1.0
    expert_bias_rate: float = 1e-3
    evaluation: Evaluation | None = None
    log_every: int = 20
    checkpoint_every: int = 500

    def __post_init__(self) -> None:
        for key in ("steps", "rows_per_step", "questions", "log_every", "checkpoint_every"):
            if getattr(self, key) < 1:
                raise ConfigError(f"{key} must be at least 1, not {getattr(self, key)}")
        if not self.data:
            raise ConfigError("data must have at least one entry")
        if not 0 <= self.decay_fraction <= 1:
            raise ConfigError(f"decay_fraction must be from 0 to 1, not {self.decay_fraction}")
        if self.task == "tower" and not self.learning_rates.vision_encoder:
            raise ConfigError("task tower trains vision_encoder; give it a learning rate above 0")
        if (self.task == "distill") != (self.distill is not None):
            raise ConfigError("task distill and the key distill, with its teacher, belong together")
        if self.task == "distill" and self.losses != LossWeights(
            short_answers=self.losses.short_answers
        ):
            raise ConfigError(
                "task distill has its own loss; of losses it takes short_answers only"
            )

    @property
    def drawn(self) -> tuple[MixtureEntry, ...]:
        """The kinds of documents that are drawn, not read."""
        return tuple(entry for entry in self.data if entry.config is not None)

    @property
    def folders(self) -> tuple[MixtureEntry, ...]:
        """The folders of shards that are read."""
        return tuple(entry for entry in self.data if entry.shards)


@dataclass(frozen=True, kw_only=True)
class TokenizerSettings:
    """The tokenizer is learnt from the text of the recipe's own documents, or given.

    A recipe that starts with the language model of a run or folder takes its tokenizer.

    Attributes:
        vocab_size: number of ids in all.
        documents: how many documents to learn from.
        folder: of a tokenizer to take instead.
    """

    vocab_size: int = 512
    documents: int = 4000
    folder: str | None = None


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """How documents reach the trainer.

    Attributes:
        documents_per_shard: size of a shard.
        distinct_shards: how many shards differ before they come again; 0 for without end.
        workers: processes that draw shards ahead; 0 draws them in the training process.
        ahead: shards that may lie ready.
        cpus: processors the workers may use; empty leaves it to the system.
        keep_shards: leave shards on disk once they are read.
        on_error: what to do with a record that cannot be read.
        loaders: processes that draw documents and make rows of them, for machines where a GPU
            waits for rows; `workers` and `ahead` are then without use. 0 makes rows in the
            training process.
    """

    documents_per_shard: int = 512
    distinct_shards: int = 0
    workers: int = 1
    ahead: int = 6
    cpus: tuple[int, ...] = ()
    keep_shards: bool = False
    on_error: OnError = "raise"
    loaders: int = 0


@dataclass(frozen=True, kw_only=True)
class ResolutionSettings:
    """Patch grids; they are written into the model's processor.

    Attributes:
        min_num_patches, max_num_patches: of one picture.
        video_num_patches: that a frame of a video is resized to about.
    """

    min_num_patches: int = 4
    max_num_patches: int = 4096
    video_num_patches: int = 512


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """AdamW (Loshchilov and Hutter, arXiv:1711.05101); Muon shares its weight decay."""

    beta1: float = 0.9
    beta2: float = 0.95
    eps: float = 1e-8
    weight_decay: float = 0.05
    restart_warmup_steps: int = 50


@dataclass(frozen=True, kw_only=True)
class Start:
    """Parts of the model that begin with the weights of another run, or of a model folder.

    Attributes:
        run: the other recipe's `output`; the character head comes with the tower.
        model: a model folder, or `default` for the one that ships.
        parts: what to take.
        new_tubelets: see tubelets as the mean of their frames at first, for a tower that has
            never learnt from videos.
    """

    run: str = ""
    model: str = ""
    new_tubelets: bool = False
    parts: tuple[Part, ...] = ("vision_encoder", "projector", "language_model")

    def __post_init__(self) -> None:
        if bool(self.run) == bool(self.model):
            raise ConfigError("start needs either run or model in each entry")


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
