"""The configuration tree of a model: what it is made of, in the field's own key names.

Only values live here. Reading and writing Hugging Face `config.json` is
`vlm/checkpoint/`; named architectures are `vlm/presets/`.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..errors import ConfigError
from ..vision_encoder.library_tower import LibraryTower
from ..vision_encoder.radio import RadioConfig

# Each has `build()`, and the sizes and the normalisation that the model and the processor ask for.
TowerConfig = RadioConfig | LibraryTower


def _check_pattern(key: str, pattern: str, letters: str) -> None:
    for idx, letter in enumerate(pattern):
        if letter not in letters:
            raise ConfigError(
                f"{key} has the letter {letter!r} at layer {idx}; "
                f"known letters are {', '.join(letters)}."
            )


def _check_sizes(config: object, least: int, keys: Iterable[str]) -> None:
    for key in keys:
        value = getattr(config, key)
        if not isinstance(value, int) or value < least:
            raise ConfigError(f"{key} is {value!r}; it must be a whole number of {least} or more.")
        most = _MOST.get(key, MOST_WIDTH)
        if value > most:
            raise ConfigError(f"{key} is {value}; more than {most} is not supported.")


def _check_choice(key: str, value: str, choices: list[str]) -> None:
    if value not in choices:
        raise ConfigError(f"{key} is {value!r}; it must be {' or '.join(map(repr, choices))}.")


# Far above any model, and low enough that a mistyped size is refused before anything is made.
MOST_LAYERS, MOST_WIDTH, MOST_EXPERTS = 4096, 2**20, 2**20
_MOST = {"vocab_size": 2**24, "mamba_num_heads": 2**22, "image_token_id": 2**31 - 1}


# Sizes that a letter of the pattern needs, and those that may be zero.
_MAMBA = ["mamba_num_heads", "mamba_head_dim", "ssm_state_size", "conv_kernel"]
_SIZES = {
    "m": _MAMBA,
    "M": [*_MAMBA, "n_groups", "chunk_size"],
    "*": ["num_attention_heads", "num_key_value_heads", "head_dim"],
    "-": ["intermediate_size"],
    "E": ["moe_intermediate_size", "n_group", "topk_group"],
}
_SIZES_OF_NOTHING = [
    "mamba_dt_rank",
    "n_routed_experts",
    "moe_shared_expert_intermediate_size",
    "num_nextn_predict_layers",
]


@dataclass(frozen=True, kw_only=True)
class Rotary:
    """Rotary position embedding (arXiv:2104.09864) of the first `dims` values of every head."""

    dims: int
    theta: float = 10000.0

    def __post_init__(self) -> None:
        if self.dims < 2 or self.dims % 2:
            raise ConfigError(
                f"Rotary embedding turns pairs of values; it cannot turn {self.dims}."
            )


@dataclass(frozen=True, kw_only=True)
class Multipliers:
    """Constant factors on embeddings, on what a layer adds to the residual, and on logits.

    `attention` is the scale of attention's scores, `head_dim ** -0.5` if None; logits are
    divided by `logits_divisor`.
    """

    embedding: float = 1.0
    residual: float = 1.0
    attention: float | None = None
    logits_divisor: float = 1.0


@dataclass(frozen=True, kw_only=True)
class LanguageConfig:
    """A hybrid language model: one mixer a layer, named by one letter of the pattern.

    Letters: `M` Mamba-2, `m` Mamba-1, `*` attention, `-` MLP, `E` mixture of experts. A family
    whose layers hold a mixer and then an MLP or experts, as Jamba's do, has two letters a layer.

    Keys carry the names of Nemotron-H's `config.json`. `n_groups` are the B/C groups of
    Mamba-2, `n_group` the routing groups of the MoE.

    Raises:
        ConfigError: a pattern letter is unknown or two sizes do not fit each other.
    """

    vocab_size: int
    hidden_size: int
    hybrid_override_pattern: str
    # Mamba-2, and Mamba-1, where a head is one channel
    mamba_num_heads: int = 8
    mamba_head_dim: int = 64
    n_groups: int = 1
    ssm_state_size: int = 128
    conv_kernel: int = 4
    chunk_size: int = 128
    use_conv_bias: bool = True
    use_bias: bool = False
    time_step_limit: tuple[float, float] = (0.0, math.inf)
    time_step_min: float = 0.001
    time_step_max: float = 0.1
    time_step_floor: float = 1e-4
    mamba_dt_rank: int = 0  # Mamba-1's step sizes are made from so many values
    # attention (no positional embedding but the rotary one, if any)
    num_attention_heads: int = 8
    num_key_value_heads: int = 8
    head_dim: int = 64
    attention_bias: bool = False
    rotary: Rotary | None = None
    # MLP and MoE: "relu2" is squared ReLU without a gate, "swiglu" has a gate with SiLU
    mlp_hidden_act: str = "relu2"
    intermediate_size: int = 0
    mlp_bias: bool = False
    n_routed_experts: int = 0
    num_experts_per_tok: int = 2
    moe_intermediate_size: int = 0
    moe_shared_expert_intermediate_size: int = 0  # no shared expert if 0
    moe_latent_size: int | None = None
    n_group: int = 1
    topk_group: int = 1
    router_score: str = "sigmoid"  # with a selection bias; or "softmax", without one
    norm_topk_prob: bool = True
    routed_scaling_factor: float = 1.0
    # multi-token prediction
    num_nextn_predict_layers: int = 0
    mtp_hybrid_override_pattern: str = "*E"
    # the rest
    multipliers: Multipliers = Multipliers()
    layer_norm_epsilon: float = 1e-5
    initializer_range: float = 0.02
    tie_word_embeddings: bool = False
    max_position_embeddings: int = 4096
    bos_token_id: int | None = 1
    eos_token_id: int | tuple[int, ...] | None = 2
    pad_token_id: int | None = 0
    # the format it is written in, a name in `vlm/checkpoint/families.py`
    family: str = "nemotron_h"
    # keys of a foreign config.json that nothing here reads, to be written back
    extra: dict = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        _check_pattern("hybrid_override_pattern", self.hybrid_override_pattern, "Mm*-E")
        if self.num_nextn_predict_layers:
            _check_pattern("mtp_hybrid_override_pattern", self.mtp_hybrid_override_pattern, "*E")
        _check_choice("mlp_hidden_act", self.mlp_hidden_act, ["relu2", "swiglu"])
        _check_choice("router_score", self.router_score, ["sigmoid", "softmax"])
        letters = set(self.hybrid_override_pattern)
        if self.num_hidden_layers > MOST_LAYERS:
            raise ConfigError(
                f"hybrid_override_pattern has {self.num_hidden_layers} layers; more than "
                f"{MOST_LAYERS} are not supported."
            )
        _check_sizes(self, 1, ["vocab_size", "hidden_size"])
        _check_sizes(self, 0, _SIZES_OF_NOTHING)
        for letter, keys in _SIZES.items():
            if letter in letters:
                _check_sizes(self, 1, keys)
        if self.time_step_max <= 0:
            raise ConfigError(f"time_step_max is {self.time_step_max!r}; it must be above 0.")
        if self.moe_latent_size is not None:
            _check_sizes(self, 1, ["moe_latent_size"])
        if "m" in letters and (self.mamba_head_dim != 1 or self.mamba_dt_rank < 1):
            raise ConfigError(
                f"Mamba-1 needs mamba_head_dim 1 and a mamba_dt_rank; they are "
                f"{self.mamba_head_dim} and {self.mamba_dt_rank}."
            )
        if "M" in letters and self.mamba_num_heads % self.n_groups:
            raise ConfigError(
                f"mamba_num_heads {self.mamba_num_heads} is not a multiple of "
                f"n_groups {self.n_groups}."
            )
        if "*" in letters and self.num_attention_heads % self.num_key_value_heads:
            raise ConfigError(
                f"num_attention_heads {self.num_attention_heads} is not a multiple of "
                f"num_key_value_heads {self.num_key_value_heads}."
            )
        if "E" in letters:
            if not 0 < self.num_experts_per_tok <= self.n_routed_experts:
                raise ConfigError(
                    f"num_experts_per_tok {self.num_experts_per_tok} must lie between 1 and "
                    f"n_routed_experts {self.n_routed_experts}."
                )
            if self.n_routed_experts * self.num_hidden_layers > MOST_EXPERTS:
                raise ConfigError(
                    f"n_routed_experts is {self.n_routed_experts} in {self.num_hidden_layers} "
                    f"layers; more than {MOST_EXPERTS} experts together are not supported."
                )
            if self.n_routed_experts % self.n_group:
                raise ConfigError(
                    f"n_routed_experts {self.n_routed_experts} is not a multiple of "
                    f"n_group {self.n_group}."
                )

    @property
    def num_hidden_layers(self) -> int:
        return len(self.hybrid_override_pattern)

    @property
    def mamba_inner_size(self) -> int:
        """Channels of the Mamba gate and value: heads x head size (`expand` is not used)."""
        return self.mamba_num_heads * self.mamba_head_dim

    @property
    def mamba_conv_size(self) -> int:
        """Channels that pass Mamba-2's causal convolution: value, B and C."""
        return self.mamba_inner_size + 2 * self.n_groups * self.ssm_state_size


@dataclass(frozen=True, kw_only=True)
class VisionLanguageConfig:
    """A vision tower, pixel shuffle, a two-layer projector and a language model."""

    text: LanguageConfig
    vision: TowerConfig
    projector_hidden_size: int
    downsample_ratio: float = 0.5
    image_token_id: int = 18
    video_token_id: int | None = None
    video_pruning_rate: float = 0.0  # of EVS, for whoever does not ask for another
    family: str = "nemotron_h_omni"
    extra: dict = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if self.downsample_ratio != 0.5:
            raise ConfigError(
                f"downsample_ratio {self.downsample_ratio} is not supported; "
                "the released models use 0.5."
            )
        if not 0 <= self.video_pruning_rate < 1:
            raise ConfigError(
                f"video_pruning_rate is {self.video_pruning_rate!r}; it is the share of tokens "
                "dropped, from 0 to below 1."
            )
        _check_sizes(self, 1, ["projector_hidden_size"])
        _check_sizes(self, 0, ["image_token_id"])

    @property
    def video_placeholder_id(self) -> int:
        """Stands for one visual token of a video; never embedded, so any id apart will do.

        It is `video_token_id` where there is one of its own, which released models have past
        their vocabulary, and else the first id past the vocabulary.
        """
        if self.video_token_id not in (None, self.image_token_id):
            return self.video_token_id
        return max(self.text.vocab_size, self.image_token_id + 1)

    @property
    def radio(self) -> RadioConfig:
        """The tower, for a family that has no other.

        Raises:
            ConfigError: it is of another kind.
        """
        if isinstance(self.vision, RadioConfig):
            return self.vision
        raise ConfigError(
            f"The tower {self.vision.name} is not RADIO, the only one that the family "
            f"{self.family} has; set family to latentvlm."
        )

    @property
    def frames_per_tubelet(self) -> int:
        """Frames of a video that the tower takes together."""
        return self.vision.video_temporal_patch_size or 1

    @property
    def merge_size(self) -> int:
        """Patches per side that pixel shuffle merges into one visual token."""
        return round(1 / self.downsample_ratio)
