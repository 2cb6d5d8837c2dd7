"""The mixture of experts (letter `E` of the pattern), standard and latent.

The router scores the full hidden state with a sigmoid; a bias, moved only by load
balancing, joins the score for selection and never for weighting (arXiv:2408.15664).
With `moe_latent_size` the routed experts work in a narrower space between two
projections shared by all of them (LatentMoE, arXiv:2601.18089); the shared expert always
sees the full width.

Letters: T tokens, D hidden, L latent (or D), E experts, K experts per token.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import LanguageConfig
from ..ops.experts import apply_experts
from ..ops.linear import Linear
from .mlp import MLP


class Router(nn.Module):
    """Sigmoid scores, selection bias, optional group limit."""

    e_score_correction_bias: Tensor

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.config = config
        self.weight = nn.Parameter(torch.empty(config.n_routed_experts, config.hidden_size))
        self.register_buffer("e_score_correction_bias", torch.zeros(config.n_routed_experts))

    def forward(self, x_TD: Tensor) -> tuple[Tensor, Tensor]:
        """Expert ids `(T, K)` int64 and their weights `(T, K)` float32."""
        config = self.config
        scores = torch.sigmoid(F.linear(x_TD.float(), self.weight.float()))
        choice = scores.detach() + self.e_score_correction_bias
        if config.n_group > 1:
            choice = self._limit_groups(choice)
        ids = choice.topk(config.num_experts_per_tok, dim=-1, sorted=False).indices
        weights = scores.gather(1, ids)
        if config.norm_topk_prob:
            weights = weights / (weights.sum(-1, keepdim=True) + 1e-20)
        return ids, weights * config.routed_scaling_factor

    def _limit_groups(self, choice: Tensor) -> Tensor:
        """Keep the `topk_group` groups whose two best experts score highest together."""
        groups = choice.unflatten(-1, (self.config.n_group, -1))
        best = groups.topk(min(2, groups.shape[-1]), dim=-1).values.sum(-1)
        kept = best.topk(self.config.topk_group, dim=-1).indices
        dropped = torch.ones_like(best, dtype=torch.bool).scatter_(-1, kept, False)
        return groups.masked_fill(dropped.unsqueeze(-1), float("-inf")).flatten(-2)


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
