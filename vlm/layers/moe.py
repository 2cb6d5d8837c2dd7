"""The mixture of experts (letter `E` of the pattern), standard and latent.

The router scores the full hidden state with a sigmoid; a bias, moved only by load
balancing, joins the score for selection and never for weighting (arXiv:2408.15664).
With `moe_latent_size` the routed experts work in a narrower space between two
projections shared by all of them (LatentMoE, arXiv:2601.18089); the shared expert always
sees the full width.

Letters: T tokens, D hidden, L latent (or D), E experts, K experts per token.
"""

import torch
from torch import Tensor, nn

from ..config import LanguageConfig
from ..ops.decode_weights import MoeWeights
from ..ops.experts import apply_experts
from ..ops.linear import Linear
from ..ops.routing import Routing, route
from .mlp import MLP
from .norm import RMSNorm


class Router(nn.Module):
    """Sigmoid scores, selection bias, optional group limit."""

    e_score_correction_bias: Tensor

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.routing = Routing(
            experts_per_token=config.num_experts_per_tok,
            num_groups=config.n_group,
            groups_kept=config.topk_group,
            normalise=config.norm_topk_prob,
            scale=config.routed_scaling_factor,
        )
        self.weight = nn.Parameter(torch.empty(config.n_routed_experts, config.hidden_size))
        self.register_buffer("e_score_correction_bias", torch.zeros(config.n_routed_experts))

    def forward(self, x_TD: Tensor) -> tuple[Tensor, Tensor]:
        """Expert ids `(T, K)` int64 and their weights `(T, K)` float32."""
        return route(x_TD, self.weight, self.e_score_correction_bias, self.routing)


class Experts(nn.Module):
    """All routed experts stacked: up `(E, I, L)`, down `(E, L, I)`."""

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        width = config.moe_latent_size or config.hidden_size
        num, inner = config.n_routed_experts, config.moe_intermediate_size
        self.up_proj = nn.Parameter(torch.empty(num, inner, width))
        self.down_proj = nn.Parameter(torch.empty(num, width, inner))

    def forward(self, z_TL: Tensor, ids_TK: Tensor, weights_TK: Tensor) -> Tensor:
        return apply_experts(z_TL, self.up_proj, self.down_proj, ids_TK, weights_TK)


class MoEMixer(nn.Module):
    """Routed experts plus one shared expert.

    After a forward in training mode `last_load` holds the tokens each expert got `(E,)`.
    """

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.gate = Router(config)
        self.experts = Experts(config)
        self.shared_experts = MLP(
            config.hidden_size, config.moe_shared_expert_intermediate_size, bias=config.mlp_bias
        )
        latent, bias = config.moe_latent_size, config.mlp_bias
        self.fc1_latent_proj = Linear(config.hidden_size, latent, bias=bias) if latent else None
        self.fc2_latent_proj = Linear(latent, config.hidden_size, bias=bias) if latent else None
        self.last_load: Tensor | None = None

    def forward(self, x_TD: Tensor) -> Tensor:
        ids, weights = self.gate(x_TD)
        if self.training:
            self.last_load = torch.bincount(ids.flatten(), minlength=self.gate.weight.shape[0])
        z = x_TD if self.fc1_latent_proj is None else self.fc1_latent_proj(x_TD)
        y = self.experts(z, ids, weights)
        if self.fc2_latent_proj is not None:
            y = self.fc2_latent_proj(y)
        return y + self.shared_experts(x_TD)

    def weights_read_together(self) -> list[tuple[list[Tensor], int]]:
        """The large weights in the order a token meets them, as `ops.arena.lay_out` takes them."""
        inputs: list[Tensor] = [self.gate.weight, self.shared_experts.up_proj.weight]
        outputs: list[Tensor] = [self.shared_experts.down_proj.weight]
        if self.fc1_latent_proj is not None and self.fc2_latent_proj is not None:
            inputs.insert(1, self.fc1_latent_proj.weight)
            outputs.insert(0, self.fc2_latent_proj.weight)
        ups: list[Tensor] = [self.experts.up_proj]
        downs: list[Tensor] = [self.experts.down_proj]
        return [(inputs, 0), (ups, 0), (downs, 0), (outputs, 1)]

    def decode_weights(self, norm: RMSNorm) -> MoeWeights | None:
        """What a decode step needs of this layer; None if it has parts the step does not know."""
        if self.shared_experts.up_proj.bias is not None:
            return None
        return MoeWeights(
            norm=norm.weight,
            eps=norm.eps,
            gate=self.gate.weight,
            gate_bias=self.gate.e_score_correction_bias,
            routing=self.gate.routing,
            up_proj=self.experts.up_proj,
            down_proj=self.experts.down_proj,
            fc1=None if self.fc1_latent_proj is None else self.fc1_latent_proj.weight,
            fc2=None if self.fc2_latent_proj is None else self.fc2_latent_proj.weight,
            shared_up=self.shared_experts.up_proj.weight,
            shared_down=self.shared_experts.down_proj.weight,
        )
