"""Whether a model fits on given GPUs, how fast it could be there, and what holds it back.

A roofline: the time of a step is the longest of computing, reading memory and exchanging with
the other GPUs, each at its peak rate, so speeds are bounds from above. Experts are spread over
the GPUs whole, the rest is split evenly, keys and values by their heads at most.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from ...errors import ConfigError, InputError
from ..config import LanguageConfig
from . import parameters as parts
from .cache_sizes import CacheSizes, cache_sizes
from .gpus import GIB, Gpu
from .moe_costs import MoeCosts, tokens_to_be_compute_bound
from .parameters import Parameters

USABLE = 0.95  # of a GPU's memory; the rest is the runtime's
CHUNK = 8192  # tokens of a prompt that are read at once
# Per element of a scan's state: decay, outer product of B and x, sum, product with C, sum.
STATE_FLOPS = 5

# Bits of each class of weights that is not left in 16, scales included, as releases have them.
SCHEMES: dict[str, dict[str, float]] = {
    "bf16": {},
    "fp8": {parts.ROUTED: 8, parts.SHARED: 8, parts.MAMBA: 8, parts.MLP: 8},
    "nvfp4": {parts.ROUTED: 4.5, parts.MLP: 4.5, parts.SHARED: 8, parts.MAMBA: 8},
    "int8": {parts.ROUTED: 8},
}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be served, and on what.

    Attributes:
        context: tokens of each sequence; batch: sequences at once.
        weights: a name in `SCHEMES`; as stored if None.
        kv_bytes: of a number in keys and values; ssm_bytes: of one in a scan's state.
    """

    context: int
    batch: int
    gpu: Gpu
    gpus: int = 1
    weights: str | None = None
    kv_bytes: int = 2
    ssm_bytes: int = 4

    def __post_init__(self) -> None:
        for name in ("context", "batch", "gpus"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)} but must be at least 1.")
        if self.weights is not None and self.weights not in SCHEMES:
            raise ConfigError(
                f"weights is {self.weights!r} but must be one of {', '.join(SCHEMES)}."
            )


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Prefill of a batch or one step of decoding it, on each GPU.

    Attributes:
        tokens: read or written by all GPUs together.
        flops, memory_bytes, exchanged_bytes: of one GPU.
        compute_s, memory_s, exchange_s: how long each would take by itself.
    """

    tokens: int
    flops: float
    memory_bytes: float
    exchanged_bytes: float
    compute_s: float
    memory_s: float
    exchange_s: float

    @property
    def seconds(self) -> float:
        return max(self.compute_s, self.memory_s, self.exchange_s)

    @property
    def tokens_per_s(self) -> float:
        return self.tokens / self.seconds

    @property
    def bottleneck(self) -> str:
        times = {
            "compute": self.compute_s,
            "memory bandwidth": self.memory_s,
            "exchange between GPUs": self.exchange_s,
        }
        return max(times, key=lambda name: times[name])

    def as_values(self) -> dict:
        return {
            "tokens": self.tokens,
            "seconds": self.seconds,
            "tokens_per_s": self.tokens_per_s,
            "flops_per_token": self.flops / self.tokens,
            "bytes_per_token": self.memory_bytes / self.tokens,
            "exchanged_bytes": self.exchanged_bytes,
            "bottleneck": self.bottleneck,
        }


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Bytes on each GPU, and both phases.

    Attributes:
        weights, kv, ssm, conv, activations: bytes on each GPU.
        all_to_all: bytes each GPU sends and takes in one MoE layer of a decoding step.
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
    work = _Work(config, parameters, bits, held, caches, moe, request)
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
        all_to_all=moe.all_to_all_bytes(batch, gpus, _sent_bytes(routed_bits)) if moe else 0.0,
        compute_bound_batch=needed * moe.experts / moe.per_token
        if moe and needed != float("inf")
        else None,
    )


def _sent_bytes(bits: float) -> float:
    """Of an element: sent in the weights' format, combined in BF16."""
    sent = 0.5 if bits < 6 else 1.0 if bits < 12 else 2.0
    return sent + 2.0


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


@dataclass(frozen=True)
class _Work:
    """What a phase has to do; everything is of one GPU."""

    config: LanguageConfig
    parameters: Parameters
    bits: Mapping[str, float]
    held: Mapping[str, float]
    caches: CacheSizes
    moe: MoeCosts | None
    request: Request

    @property
    def kv_split(self) -> int:
        """GPUs between which keys and values are split; there is no half of a head."""
        return min(self.request.gpus, self.config.num_key_value_heads)

    def prefill(self, tokens: int, chunk: int) -> Phase:
        context, batch = self.request.context, self.request.batch
        chunks = ceil(tokens / chunk)
        attended = batch * context * (context + 1) / 2
        # each chunk reads what its sequence holds so far
        rereads = batch * context * max(1.0, context / chunk) / 2 * self.caches.kv_per_token
        states = 2 * max(batch, chunks) * (self.caches.ssm + self.caches.conv)
        return self._phase(
            tokens,
            heads=batch,
            attended=attended,
            weights=chunks * self._weights_read(chunk),
            kv=rereads + tokens * self.caches.kv_per_token,
            states=states,
        )

    def decode(self) -> Phase:
        batch, context = self.request.batch, self.request.context
        return self._phase(
            batch,
            heads=batch,
            attended=batch * context,
            weights=self._weights_read(batch),
            kv=batch * context * self.caches.kv_per_token,
            states=2 * batch * (self.caches.ssm + self.caches.conv),
        )

    def _weights_read(self, tokens: int) -> float:
        """Bytes of the weights that a step of so many tokens meets, on all GPUs."""
        aside = {parts.VISION, parts.PROJECTOR}
        if not self.parameters.tied:
            aside.add(parts.EMBEDDINGS)
        read = 0.0
        for name, size in self.held.items():
            if name in aside:
                continue
            share = self.moe.touched(tokens) if name == parts.ROUTED and self.moe else 1.0
            read += size * share
        return read

    def _phase(
        self, tokens: int, *, heads: int, attended: float, weights: float, kv: float, states: float
    ) -> Phase:
        """`heads` tokens get logits; `attended` pairs of tokens meet in each attention layer."""
        gpu, gpus = self.request.gpu, self.request.gpus
        flops = compute_s = 0.0
        for name in parts.LANGUAGE & self.held.keys():
            if name == parts.EMBEDDINGS and not self.parameters.tied:
                continue
            active = self.parameters.of(name) - (
                self.parameters.idle if name == parts.ROUTED else 0
            )
            is_head = name == (parts.EMBEDDINGS if self.parameters.tied else parts.HEAD)
            here = 2 * active * (heads if is_head else tokens) / gpus
            flops += here
            compute_s += here / gpu.peak(self.bits[name])
        pattern = self.config.hybrid_override_pattern
        width = self.config.num_attention_heads * self.config.head_dim
        mixing = 4 * width * pattern.count("*") * attended / gpus
        mixing += STATE_FLOPS * self.caches.ssm / self.request.ssm_bytes * tokens / gpus
        memory = (weights + states) / gpus + kv / self.kv_split
        exchanged = self._exchanged(tokens)
        return Phase(
            tokens=tokens,
            flops=flops + mixing,
            memory_bytes=memory,
            exchanged_bytes=exchanged,
            compute_s=compute_s + mixing / gpu.bf16,
            memory_s=memory / gpu.bandwidth,
            exchange_s=exchanged / gpu.link,
        )

    def _exchanged(self, tokens: int) -> float:
        """Between GPUs: to the experts and back, and the sums of every split block in BF16."""
        gpus = self.request.gpus
        if gpus == 1:
            return 0.0
        pattern = self.config.hybrid_override_pattern
        split = len(pattern) - pattern.count("E")
        total = split * 2 * tokens * self.config.hidden_size * 2 * (gpus - 1) / gpus
        if self.moe:
            sent = _sent_bytes(self.bits.get(parts.ROUTED, 16))
            total += self.moe.layers * self.moe.all_to_all_bytes(tokens, gpus, sent)
        return total
