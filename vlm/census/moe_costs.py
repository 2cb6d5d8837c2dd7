"""What routing to experts costs, for a standard mixture and a latent one alike.

The cost model of LatentMoE (arXiv:2601.18089). Letters: d the width experts work in (the
latent one if there is one), m their inner width, N experts, K of them a token, EP devices.
"""

from dataclasses import dataclass, replace
from math import ceil

from ..config import LanguageConfig

ALPHA = 4  # how much narrower a latent space is made; wider steps lose accuracy


@dataclass(frozen=True, kw_only=True)
class MoeCosts:
    """One MoE layer of a model.

    Attributes:
        width: d; inner: m; matrices: of an expert, two or, with a gate, three.
    """

    layers: int
    experts: int
    per_token: int
    width: int
    inner: int
    matrices: int

    @classmethod
    def of(cls, config: LanguageConfig) -> "MoeCosts | None":
        """None for a model without experts."""
        layers = config.hybrid_override_pattern.count("E")
        if not layers:
            return None
        return cls(
            layers=layers,
            experts=config.n_routed_experts,
            per_token=config.num_experts_per_tok,
            width=config.moe_latent_size or config.hidden_size,
            inner=config.moe_intermediate_size,
            matrices=3 if config.mlp_hidden_act == "swiglu" else 2,
        )

    @property
    def dispatched_elements(self) -> int:
        """Numbers sent to experts for one token, K d."""
        return self.per_token * self.width

    @property
    def parameters(self) -> int:
        """Of all routed experts of all layers."""
        return self.layers * self.experts * self.matrices * self.width * self.inner

    def all_to_all_bytes(self, tokens: int, devices: int, bytes_per_element: float) -> float:
        """Dispatch and combine, for each device and layer: tokens K d / EP."""
        return tokens * self.dispatched_elements / devices * bytes_per_element

    def touched(self, tokens: int) -> float:
        """Share of the experts that a batch of tokens wakes, if it routes evenly."""
        return 1 - (1 - self.per_token / self.experts) ** tokens


def sent_bytes(bits: float) -> float:
    """Of an element: sent in the weights' format, combined in BF16."""
    sent = 0.5 if bits < 6 else 1.0 if bits < 12 else 2.0
    return sent + 2.0


def gemm_intensity(tokens: float, width: int, inner: int) -> float:
    """Operations for each element moved of one expert's product: 2tdm / (dm + t(d + m))."""
    product = width * inner
    return 2 * tokens * product / (product + tokens * (width + inner))


def tokens_to_be_compute_bound(width: int, inner: int, ridge: float) -> float:
    """Tokens an expert needs to reach an intensity of `ridge`; infinite if it never does."""
    gain = 2 * width * inner - ridge * (width + inner)
    return ridge * width * inner / gain if gain > 0 else float("inf")


def communication_to_compute(
    inner: int, *, flops: float, link: float, bytes_per_element: float = 2.5
) -> float:
    """Time to send a token to an expert and back, over that of one of its products."""
    return (bytes_per_element / link) / (2 * inner / flops)


def counterpart(config: LanguageConfig) -> LanguageConfig | None:
    """The other kind of mixture at about the same cost; None for a model without experts.

    A latent one becomes standard with N / alpha experts, K / alpha of them a token. A standard
    one becomes latent with alpha N experts, and alpha K less what the projections cost.
    """
    costs = MoeCosts.of(config)
    if costs is None:
        return None
    hidden, latent = config.hidden_size, config.moe_latent_size
    ungrouped = replace(config, n_group=1, topk_group=1)
    if latent:
        alpha = hidden / latent
        return replace(
            ungrouped,
            moe_latent_size=None,
            n_routed_experts=ceil(costs.experts / alpha),
            num_experts_per_tok=ceil(costs.per_token / alpha),
        )
    projections = 2 * hidden / (costs.matrices * costs.inner)
    return replace(
        ungrouped,
        family="nemotron_h",
        moe_latent_size=hidden // ALPHA,
        n_routed_experts=ALPHA * costs.experts,
        num_experts_per_tok=max(1, int(ALPHA * costs.per_token - projections)),
    )
