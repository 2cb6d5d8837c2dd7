"""Whether a model fits on given GPUs, how fast it could be there, and what holds it back.

Speeds are those of a roofline, so bounds from above. Experts are spread over the GPUs whole,
the rest is split evenly, keys and values by their heads at most.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ..config import LanguageConfig
from . import parameters as parts
from .cache_sizes import cache_sizes
from .gpus import GIB
from .moe_costs import MoeCosts, tokens_to_be_compute_bound
from .parameters import Parameters
from .phases import Phase, Work, sent_bytes
from .request import SCHEMES, Request

USABLE = 0.95  # of a GPU's memory; the rest is the runtime's
CHUNK = 8192  # tokens of a prompt that are read at once


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Bytes on each GPU, and both phases.

    Attributes:
        weights, kv, ssm, conv, activations: bytes on each GPU.
        all_to_all: bytes each GPU sends and takes in one MoE layer of a decoding step; a single
            one sends none.
        compute_bound_batch: tokens in a step from which experts are bound by compute, if ever.
    """

    request: Request
    weights: float
    kv: float
    ssm: float
    conv: float
    activations: float
    prefill: Phase
    decode: Phase
    dispatched_elements: int
    all_to_all: float
    compute_bound_batch: float | None

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
            "prefill": self.prefill.as_values(),
            "decode": self.decode.as_values(),
            "moe": {
                "dispatched_elements_per_token": self.dispatched_elements,
                "all_to_all_bytes_per_layer": self.all_to_all,
                "tokens_to_be_compute_bound": self.compute_bound_batch,
            }
            if self.dispatched_elements
            else None,
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
) -> Plan:
    """Plan serving a model of that configuration and those parameters.

    Args:
        bits: of each class of weights, if not as stored or as the request says.
    """
    bits = {**weight_bits(parameters, request.weights), **(bits or {})}
    held = {
        name: each.parameters * bits[name] / 8
        for name, each in parameters.by_class.items()
        if name not in (parts.MTP, parts.LEFT_ASIDE)
    }
    caches = cache_sizes(config, kv_bytes=request.kv_bytes, ssm_bytes=request.ssm_bytes)
    moe = MoeCosts.of(config)
    routed_bits = bits.get(parts.ROUTED, 16)
    gpu, gpus, batch = request.gpu, request.gpus, request.batch
    work = Work(config, parameters, bits, held, caches, moe, request)
    prompt = batch * request.context
    chunk = min(CHUNK, prompt)
    ridge = gpu.peak(routed_bits) / gpu.bandwidth
    needed = tokens_to_be_compute_bound(moe.width, moe.inner, ridge) if moe else float("inf")
    return Plan(
        request=request,
        weights=sum(held.values()) / gpus,
        kv=batch * request.context * caches.kv_per_token / work.kv_split,
        ssm=batch * caches.ssm / gpus,
        conv=batch * caches.conv / gpus,
        activations=_activations(config, chunk, batch, gpus),
        prefill=work.prefill(prompt, chunk),
        decode=work.decode(),
        dispatched_elements=moe.dispatched_elements if moe else 0,
        all_to_all=moe.all_to_all_bytes(batch, gpus, sent_bytes(routed_bits))
        if moe and gpus > 1
        else 0.0,
        compute_bound_batch=needed * moe.experts / moe.per_token
        if moe and needed != float("inf")
        else None,
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
