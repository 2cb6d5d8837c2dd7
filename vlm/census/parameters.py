"""Parameters and bytes by the part of the model that holds them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..checkpoint.families import family_of
from ..config import LanguageConfig, VisionLanguageConfig
from .tensors import TensorInfo

ATTENTION, MAMBA, MLP = "attention", "mamba", "mlp"
ROUTED, SHARED, LATENT, ROUTER = "routed experts", "shared expert", "latent projections", "router"
NORMS, EMBEDDINGS, HEAD = "norms", "embeddings", "head"
MTP, VISION, PROJECTOR = "mtp", "vision", "projector"
LEFT_ASIDE = "left aside"  # on disk, and no part of the model: sound, buffers

CLASSES = (
    *(ATTENTION, MAMBA, MLP, ROUTED, SHARED, LATENT, ROUTER, NORMS, EMBEDDINGS, HEAD),
    *(MTP, VISION, PROJECTOR, LEFT_ASIDE),
)
LANGUAGE = frozenset(CLASSES[:10])

_BY_PART = {
    "embeddings": EMBEDDINGS,
    "lm_head": HEAD,
    "norm_f": NORMS,
    "mtp": MTP,
    "vision_encoder": VISION,
    "vision_final_layernorm": VISION,
    "projector": PROJECTOR,
}
_BY_LETTER = {"M": MAMBA, "m": MAMBA, "*": ATTENTION, "-": MLP}
_BY_EXPERT_PART = {
    "experts": ROUTED,
    "shared_experts": SHARED,
    "gate": ROUTER,
    "fc1_latent_proj": LATENT,
    "fc2_latent_proj": LATENT,
}


@dataclass(kw_only=True)
class ClassCount:
    """Parameters, and the bytes they and their scales take."""

    parameters: int = 0
    num_bytes: int = 0

    @property
    def bits(self) -> float:
        return 8 * self.num_bytes / self.parameters if self.parameters else 0.0


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What a model holds.

    Attributes:
        by_class: one entry for each class that is there.
        idle: parameters of the experts that a token misses.
        tied: the head is the embedding table.
    """

    by_class: Mapping[str, ClassCount]
    idle: int
    tied: bool

    def of(self, *classes: str) -> int:
        return sum(self.by_class[each].parameters for each in classes if each in self.by_class)

    @property
    def mtp(self) -> int:
        """Parameters of the draft head."""
        return self.of(MTP)

    @property
    def total(self) -> int:
        """Everything but the draft head and what is left aside, as models are named."""
        return self.of(*LANGUAGE, VISION, PROJECTOR)

    @property
    def active(self) -> int:
        """What one token of text is multiplied with: no embedding table, no missed experts."""
        table = 0 if self.tied else self.of(EMBEDDINGS)
        return self.of(*LANGUAGE) - self.idle - table

    @property
    def active_with_embeddings(self) -> int:
        """`active` and the embedding table, which some reports count."""
        return self.of(*LANGUAGE) - self.idle

    @property
    def num_bytes(self) -> int:
        """Everything on disk but what is left aside."""
        return sum(each.num_bytes for name, each in self.by_class.items() if name != LEFT_ASIDE)

    def as_values(self) -> dict:
        return {
            "total": self.total,
            "active": self.active,
            "active_with_embeddings": self.active_with_embeddings,
            "mtp": self.mtp,
            "by_class": {
                name: {
                    "parameters": each.parameters,
                    "bytes": each.num_bytes,
                    "bits": round(each.bits, 3),
                }
                for name, each in self.by_class.items()
            },
        }


def count_parameters(
    tensors: Iterable[TensorInfo], config: VisionLanguageConfig | LanguageConfig
) -> Parameters:
    """Sort the tensors of a model or of a folder into classes."""
    text = config.text if isinstance(config, VisionLanguageConfig) else config
    place = family_of(config).place
    found: dict[str, ClassCount] = {}
    for tensor in tensors:
        at = place(tensor.weight_name)
        name = LEFT_ASIDE if at is None else _class_of(at.name, text.hybrid_override_pattern)
        entry = found.setdefault(name, ClassCount())
        entry.parameters += tensor.num_parameters
        entry.num_bytes += tensor.num_bytes
    routed = found[ROUTED].parameters if ROUTED in found else 0
    missed = text.n_routed_experts - text.num_experts_per_tok
    return Parameters(
        by_class={name: found[name] for name in CLASSES if name in found},
        idle=routed * missed // text.n_routed_experts if routed else 0,
        tied=text.tie_word_embeddings,
    )


def _class_of(name: str, pattern: str) -> str:
    """The class of a tensor of ours, told from its name and its layer's letter."""
    parts = name.removeprefix("language_model.").split(".")
    if parts[0] != "layers":
        return _BY_PART.get(parts[0], LEFT_ASIDE)
    if int(parts[1]) >= len(pattern):
        return LEFT_ASIDE
    if parts[2] == "norm":
        return NORMS
    letter = pattern[int(parts[1])]
    return _BY_LETTER.get(letter) or _BY_EXPERT_PART.get(parts[3], LEFT_ASIDE)
