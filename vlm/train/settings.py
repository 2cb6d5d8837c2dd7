"""What holds for a whole training run: tokenizer, patch grids, data, optimizer, beginnings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...data.shards import OnError
from ...errors import ConfigError

Part = Literal["vision_encoder", "projector", "language_model"]


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
