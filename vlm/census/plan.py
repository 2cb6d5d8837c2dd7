"""Whether a model fits on given GPUs, how fast it could be there, and what holds it back.

Speeds are those of a roofline, so bounds from above. Experts are spread over the GPUs whole, so
one GPU may hold more of them than another: everything is said of the fullest. The rest is split
evenly, keys and values by whole heads.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from ...errors import InputError
from ..config import LanguageConfig
from . import parameters as parts
from .cache_sizes import cache_sizes
from .expert_costs import ExpertCosts
from .gpus import GIB
from .moe_costs import MoeCosts
from .parameters import Parameters
from .phases import Phase, Work
from .request import SCHEMES, Request
from .vision_work import VisionWork

USABLE = 0.95  # of a GPU's memory; the rest is the runtime's
CHUNK = 8192  # tokens of a prompt that are read at once


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Bytes on the fullest GPU, and the phases.

    Attributes:
        weights, kv, ssm, conv, activations: bytes on the fullest GPU.
        crossover: tokens whose keys and values take as much as the states; infinite without
            attention.
        encode: of the pictures, if there are any; vision: what they are.
        experts: what routing costs, of a model with experts.
    """

    request: Request
    weights: float
    kv: float
    ssm: float
    conv: float
    activations: float
    crossover: float
    prefill: Phase
    decode: Phase
    encode: Phase | None = None
    vision: VisionWork | None = None
    experts: ExpertCosts | None = None

    @property
    def total(self) -> float:
        return self.weights + self.kv + self.ssm + self.conv + self.activations

    @property
    def usable(self) -> float:
        return self.request.gpu.memory_gib * GIB * USABLE

    @property
    def fits(self) -> bool:
        return self.total <= self.usable

    @property
    def largest_batch(self) -> int:
        """Sequences of this context that would fit; 0 if the weights alone do not."""
        one = (self.kv + self.ssm + self.conv) / self.request.batch
        return max(0, int((self.usable - self.weights - self.activations) / one))

    @property
    def bottleneck(self) -> str:
        """What stands in the way first: memory if it does not fit, else what bounds decoding."""
        if self.fits:
            return self.decode.bottleneck
        caches = {"weights": self.weights, "keys and values": self.kv, "states": self.ssm}
        return "memory: " + max(caches, key=lambda name: caches[name])

    def as_values(self) -> dict:
        names = ("weights", "kv", "ssm", "conv", "activations", "total", "usable")
        return {
            "memory": {name: getattr(self, name) for name in names},
            "fits": self.fits,
            "largest_batch": self.largest_batch,
            "bottleneck": self.bottleneck,
            "states_outweigh_keys_up_to": self.crossover if isfinite(self.crossover) else None,
            "vision": self.vision
            and {
                "patches": self.vision.patches,
                "tokens": self.vision.tokens,
                "flops": self.vision.flops,
            },
            "encode": self.encode and self.encode.as_values(),
            "prefill": self.prefill.as_values(),
            "decode": self.decode.as_values(),
            "moe": self.experts and self.experts.as_values(),
        }


def weight_bits(parameters: Parameters, scheme: str | None) -> dict[str, float]:
    """Bits per parameter of each class: as stored, or by a scheme."""
    if scheme is None:
        return {name: each.bits for name, each in parameters.by_class.items()}
    return {name: SCHEMES[scheme].get(name, 16) for name in parameters.by_class}


def make_plan(
    config: LanguageConfig,
    parameters: Parameters,
    request: Request,
    *,
    bits: Mapping[str, float] | None = None,
    vision: VisionWork | None = None,
) -> Plan:
    """Plan serving a model of that configuration and those parameters.

    Args:
        bits: of each class of weights, if not as stored or as the request says.
        vision: the pictures of each prompt; their tokens are part of the context.

    Raises:
        InputError: the pictures take more tokens than the context has.
    """
    if vision is not None and vision.tokens > request.context:
        raise InputError(
            f"The pictures of a prompt take {vision.tokens} tokens, more than its context of "
            f"{request.context}; give a longer --context or fewer or smaller pictures."
        )
    bits = {**weight_bits(parameters, request.weights), **(bits or {})}
    held = {
        name: each.parameters * bits[name] / 8
        for name, each in parameters.by_class.items()
        if name not in (parts.MTP, parts.LEFT_ASIDE)
    }
    caches = cache_sizes(config, kv_bytes=request.kv_bytes, ssm_bytes=request.ssm_bytes)
    moe = MoeCosts.of(config)
    gpus, batch = request.gpus, request.batch
    work = Work(config, parameters, bits, held, caches, moe, request)
    prompt = batch * request.context
    chunk = min(CHUNK, prompt)
    activations = _activations(config, chunk, batch, gpus)
    if vision is not None:  # the tower is done before the prompt is read
        activations = max(activations, vision.activation_bytes / gpus)
    return Plan(
        request=request,
        weights=sum(size * work.share(name) for name, size in held.items()),
        kv=batch * request.context * caches.kv_per_token * work.kv_share,
        ssm=batch * caches.ssm / gpus,
        conv=batch * caches.conv / gpus,
        activations=activations,
        crossover=caches.crossover,
        prefill=work.prefill(prompt, chunk),
        decode=work.decode(),
        encode=None if vision is None else work.encode(vision),
        vision=vision,
        experts=moe and ExpertCosts.of(moe, request, bits.get(parts.ROUTED, 16)),
    )


def _activations(config: LanguageConfig, chunk: int, batch: int, gpus: int) -> float:
    """Residual stream, its norm and the widest block's inner values in BF16; float32 logits."""
    widest = max(_inner_width(config, letter) for letter in set(config.hybrid_override_pattern))
    rows = chunk * 2 * (2 * config.hidden_size + widest / gpus)
    return rows + 4 * batch * config.vocab_size / gpus


def _inner_width(config: LanguageConfig, letter: str) -> int:
    if letter in "Mm":
        return 3 * config.mamba_inner_size + config.mamba_conv_size
    if letter == "*":
        heads = 2 * config.num_attention_heads + 2 * config.num_key_value_heads
        return heads * config.head_dim
    if letter == "-":
        return config.intermediate_size
    width = config.moe_latent_size or config.hidden_size
    chosen = config.num_experts_per_tok * (width + config.moe_intermediate_size)
    return chosen + config.moe_shared_expert_intermediate_size
