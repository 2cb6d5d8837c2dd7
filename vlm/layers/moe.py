"""The mixture of experts (letter `E` of the pattern), standard and latent.

The router scores the full hidden state with a sigmoid; a bias, moved only by load
balancing, joins the score for selection and never for weighting (arXiv:2408.15664). Or it
scores with a softmax and has no bias.
With `moe_latent_size` the routed experts work in a narrower space between two
projections shared by all of them (LatentMoE, arXiv:2601.18089); the shared expert, if there
is one, always sees the full width.

Letters: T tokens, D hidden, L latent (or D), E experts, K experts per token.
"""

import torch
from torch import Tensor, nn

from ..config import LanguageConfig
from ..ops.decode_weights import MoeWeights
from ..ops.experts import OnHidden, apply_experts
from ..ops.linear import Linear
from ..ops.routing import Routing, route
from .mlp import MLP
from .norm import RMSNorm


class Router(nn.Module):
    """Sigmoid scores with a selection bias and an optional group limit, or softmax."""

    e_score_correction_bias: Tensor | None

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.routing = Routing(
            experts_per_token=config.num_experts_per_tok,
            num_groups=config.n_group,
            groups_kept=config.topk_group,
            normalise=config.norm_topk_prob,
            scale=config.routed_scaling_factor,
            softmax=config.router_score == "softmax",
        )
        self.weight = nn.Parameter(torch.empty(config.n_routed_experts, config.hidden_size))
        bias = None if self.routing.softmax else torch.zeros(config.n_routed_experts)
        self.register_buffer("e_score_correction_bias", bias)

    def forward(self, x_TD: Tensor) -> tuple[Tensor, Tensor]:
        """Expert ids `(T, K)` int64 and their weights `(T, K)` float32."""
        return route(x_TD, self.weight, self.e_score_correction_bias, self.routing)


class Experts(nn.Module):
    """All routed experts stacked: up and, if they are gated, gate `(E, I, L)`, down `(E, L, I)`.

    Any of them may be packed. `on_hidden`, if set, changes what the down projections read.
    """

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        width = config.moe_latent_size or config.hidden_size
        num, inner = config.n_routed_experts, config.moe_intermediate_size
        gated = config.mlp_hidden_act == "swiglu"
        self.gate_proj = nn.Parameter(torch.empty(num, inner, width)) if gated else None
        self.up_proj = nn.Parameter(torch.empty(num, inner, width))
        self.down_proj = nn.Parameter(torch.empty(num, width, inner))
        self.on_hidden: OnHidden | None = None

    def forward(self, z_TL: Tensor, ids_TK: Tensor, weights_TK: Tensor) -> Tensor:
        ups, downs, gates = self.up_proj, self.down_proj, self.gate_proj
        return apply_experts(z_TL, ups, downs, ids_TK, weights_TK, gates, self.on_hidden)


class MoEMixer(nn.Module):
    """Routed experts, and one shared expert if it has a width.

    After a forward in training mode `last_load` holds the tokens each expert got `(E,)`.
    """

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.gate = Router(config)
        self.experts = Experts(config)
        latent, bias = config.moe_latent_size, config.mlp_bias
        shared = config.moe_shared_expert_intermediate_size
        act = config.mlp_hidden_act
        self.shared_experts = (
            MLP(config.hidden_size, shared, bias=bias, act=act) if shared else None
        )
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
        return y if self.shared_experts is None else y + self.shared_experts(x_TD)

    def weights_read_together(self) -> list[tuple[list[Tensor], int]]:
        """The large weights in the order a token meets them, as `ops.arena.lay_out` takes them."""
        inputs: list[Tensor] = [self.gate.weight]
        outputs: list[Tensor] = []
        if self.fc1_latent_proj is not None and self.fc2_latent_proj is not None:
            inputs.append(self.fc1_latent_proj.weight)
            outputs.append(self.fc2_latent_proj.weight)
        if self.shared_experts is not None:
            (wide, _), (narrow, _) = self.shared_experts.weights_read_together()
            inputs += wide
            outputs += narrow
        experts = self.experts
        stacks = [
            w for w in (experts.gate_proj, experts.up_proj, experts.down_proj) if w is not None
        ]
        groups: list[tuple[list[Tensor], int]] = [(inputs, 0), *(([w], 0) for w in stacks)]
        return [*groups, (outputs, 1)] if outputs else groups

    def decode_weights(self, norm: RMSNorm) -> MoeWeights | None:
        """What a decode step needs of this layer; None if it has parts the step does not know."""
        bias, shared = self.gate.e_score_correction_bias, self.shared_experts
        if bias is None or shared is None or shared.up_proj.bias is not None:
            return None
        if self.experts.gate_proj is not None:
            return None
        return MoeWeights(
            norm=norm.weight,
            eps=norm.eps,
            gate=self.gate.weight,
            gate_bias=bias,
            routing=self.gate.routing,
            up_proj=self.experts.up_proj,
            down_proj=self.experts.down_proj,
            fc1=None if self.fc1_latent_proj is None else self.fc1_latent_proj.weight,
            fc2=None if self.fc2_latent_proj is None else self.fc2_latent_proj.weight,
            shared_up=shared.up_proj.weight,
            shared_down=shared.down_proj.weight,
        )
