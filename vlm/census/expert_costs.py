"""What tells a latent mixture of experts from a standard one on given GPUs: sending and computing.

The cost model is that of `moe_costs`, with the numbers of a decoding step.
"""

from dataclasses import dataclass
from math import ceil, isfinite

from .moe_costs import (
    MoeCosts,
    communication_to_compute,
    gemm_intensity,
    sent_bytes,
    tokens_to_be_compute_bound,
)
from .request import Request


@dataclass(frozen=True, kw_only=True)
class ExpertCosts:
    """One MoE layer in a step of decoding.

    Attributes:
        dispatched_elements: numbers sent to experts for one token.
        all_to_all: bytes each GPU sends and takes; a single one sends none.
        most_on_a_gpu: experts of a layer that the fullest GPU holds.
        intensity: operations for each element moved of an expert's product, in this batch.
        ridge: operations a byte from which the GPU is bound by compute.
        compute_bound_batch: tokens in a step from which experts are; None if never.
        sending_to_computing: time to send a token to an expert and back, over that of one of its
            products.
    """

    dispatched_elements: int
    all_to_all: float
    most_on_a_gpu: int
    intensity: float
    ridge: float
    compute_bound_batch: float | None
    sending_to_computing: float

    @classmethod
    def of(cls, moe: MoeCosts, request: Request, bits: float) -> "ExpertCosts":
        """Of a model's MoE layers with weights of so many bits."""
        gpu, gpus = request.gpu, request.gpus
        ridge = gpu.peak(bits) / gpu.bandwidth
        needed = tokens_to_be_compute_bound(moe.width, moe.inner, ridge)
        # a batch that wakes few experts gives each of those one token
        tokens = max(1.0, request.batch * moe.per_token / moe.experts)
        sent = sent_bytes(bits)
        return cls(
            dispatched_elements=moe.dispatched_elements,
            all_to_all=moe.all_to_all_bytes(request.batch, gpus, sent) if gpus > 1 else 0.0,
            most_on_a_gpu=ceil(moe.experts / gpus),
            intensity=gemm_intensity(tokens, moe.width, moe.inner),
            ridge=ridge,
            compute_bound_batch=needed * moe.experts / moe.per_token if isfinite(needed) else None,
            sending_to_computing=communication_to_compute(
                moe.inner, flops=gpu.peak(bits), link=gpu.link, bytes_per_element=sent
            ),
        )

    def as_values(self) -> dict:
        return {
            "dispatched_elements_per_token": self.dispatched_elements,
            "all_to_all_bytes_per_layer": self.all_to_all,
            "experts_on_the_fullest_gpu": self.most_on_a_gpu,
            "operations_per_element": self.intensity,
            "operations_per_byte_to_be_compute_bound": self.ridge,
            "tokens_to_be_compute_bound": self.compute_bound_batch,
            "sending_to_computing": self.sending_to_computing,
        }
