"""The work of reading prompts and of one step of decoding, and how long it takes at least.

A roofline: the time is the longest of computing, reading memory and exchanging with the other
GPUs, each at its peak rate.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from ..config import LanguageConfig
from . import parameters as parts
from .cache_sizes import CacheSizes
from .moe_costs import MoeCosts, sent_bytes
from .parameters import Parameters
from .request import Request
from .vision_work import VisionWork

# Per element of a scan's state: decay, outer product of B and x, sum, product with C, sum.
STATE_FLOPS = 5


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Encoding the pictures of a batch, reading its prompts or one step of decoding it.

    All is of one GPU: that with the most experts, where they do not divide evenly.

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


@dataclass(frozen=True)
class Work:
    """What a phase has to do; everything is of one GPU."""

    config: LanguageConfig
    parameters: Parameters
    bits: Mapping[str, float]
    held: Mapping[str, float]
    caches: CacheSizes
    moe: MoeCosts | None
    request: Request

    @property
    def kv_share(self) -> float:
        """Of the keys and values, on the GPU with the most heads; there is no half of one."""
        heads = self.config.num_key_value_heads
        return ceil(heads / self.request.gpus) / heads

    @property
    def expert_share(self) -> float:
        """Of the experts of a layer, on the GPU with the most; there is no half of one."""
        if self.moe is None:
            return 1 / self.request.gpus
        return ceil(self.moe.experts / self.request.gpus) / self.moe.experts

    def share(self, name: str) -> float:
        """Of the weights of a class, on the fullest GPU."""
        return self.expert_share if name == parts.ROUTED else 1 / self.request.gpus

    def encode(self, vision: VisionWork) -> Phase:
        """The pictures of each prompt, one prompt after the other."""
        gpu, gpus, batch = self.request.gpu, self.request.gpus, self.request.batch
        held = sum(self.held.get(name, 0.0) for name in (parts.VISION, parts.PROJECTOR))
        flops, memory = batch * vision.flops / gpus, batch * held / gpus
        # as in the language model, the sums of attention and MLP in every layer
        sums = 2 * vision.layers * 2 * batch * vision.rows * vision.width * 2
        exchanged = sums * (gpus - 1) / gpus
        return Phase(
            tokens=batch * vision.tokens,
            flops=flops,
            memory_bytes=memory,
            exchanged_bytes=exchanged,
            compute_s=flops / gpu.peak(self.bits.get(parts.VISION, 16)),
            memory_s=memory / gpu.bandwidth,
            exchange_s=exchanged / gpu.link,
        )

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
        """Bytes of the weights that a step of so many tokens meets, on the fullest GPU."""
        aside = {parts.VISION, parts.PROJECTOR}
        if not self.parameters.tied:
            aside.add(parts.EMBEDDINGS)
        read = 0.0
        for name, size in self.held.items():
            if name in aside:
                continue
            touched = self.moe.touched(tokens) if name == parts.ROUTED and self.moe else 1.0
            read += size * touched * self.share(name)
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
            here = 2 * active * (heads if is_head else tokens) * self.share(name)
            flops += here
            compute_s += here / gpu.peak(self.bits[name])
        pattern = self.config.hybrid_override_pattern
        width = self.config.num_attention_heads * self.config.head_dim
        mixing = 4 * width * pattern.count("*") * attended / gpus
        mixing += STATE_FLOPS * self.caches.ssm / self.request.ssm_bytes * tokens / gpus
        memory = weights + states / gpus + kv * self.kv_share
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
            sent = sent_bytes(self.bits.get(parts.ROUTED, 16))
            total += self.moe.layers * self.moe.all_to_all_bytes(tokens, gpus, sent)
        return total
