"""A stage of a training run: its documents, task, learning rates, losses and length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...data.packing import RowLimits
from ...data.synthetic import GeneratorConfig
from ...errors import ConfigError
from ...token_reduction.evs import EVSConfig, EVSRates
from .distill_settings import Distillation


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
