"""Which experts a token goes to, and with what weight.

Sigmoid scores; a bias joins them for selection and never for weighting (arXiv:2408.15664).
Or softmax over all experts, without a bias.

Letters: T tokens, D hidden, E experts, K experts per token.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Routing:
    """How many experts are taken, from how many groups, and what their weights sum to."""

    experts_per_token: int
    num_groups: int = 1
    groups_kept: int = 1
    normalise: bool = True
    scale: float = 1.0
    softmax: bool = False


def route(
    x_TD: Tensor, weight_ED: Tensor, bias_E: Tensor | None, routing: Routing
) -> tuple[Tensor, Tensor]:
    """Expert ids `(T, K)` int64 and their weights `(T, K)` float32."""
    return choose(F.linear(x_TD.float(), weight_ED.float()), bias_E, routing)


def choose(logits_TE: Tensor, bias_E: Tensor | None, routing: Routing) -> tuple[Tensor, Tensor]:
    """`route` from the router's product on."""
    scores = logits_TE.softmax(-1) if routing.softmax else torch.sigmoid(logits_TE)
    choice = scores.detach()
    if bias_E is not None:
        choice = choice + bias_E
    if routing.num_groups > 1:
        choice = _limit_groups(choice, routing)
    ids = choice.topk(routing.experts_per_token, dim=-1, sorted=False).indices
    weights = scores.gather(1, ids)
    if routing.normalise:
        weights = weights / (weights.sum(-1, keepdim=True) + 1e-20)
    return ids, weights * routing.scale


def choose_one(
    logits_1E: Tensor, bias_E: Tensor, routing: Routing
) -> tuple[list[int], list[float]]:
    """`choose` for one token, in numbers: what follows is a product an expert, by its number."""
    scores = torch.sigmoid(logits_1E)
    choice = scores + bias_E
    if routing.num_groups > 1:
        choice = _limit_groups(choice, routing)
    ids = choice.topk(routing.experts_per_token, dim=-1, sorted=False).indices
    weights = scores.gather(1, ids)[0].tolist()
    scale = routing.scale / (sum(weights) + 1e-20) if routing.normalise else routing.scale
    return ids[0].tolist(), [weight * scale for weight in weights]


def _limit_groups(choice: Tensor, routing: Routing) -> Tensor:
    """Keep the groups whose two best experts score highest together."""
    groups = choice.unflatten(-1, (routing.num_groups, -1))
    best = groups.topk(min(2, groups.shape[-1]), dim=-1).values.sum(-1)
    kept = best.topk(routing.groups_kept, dim=-1).indices
    dropped = torch.ones_like(best, dtype=torch.bool).scatter_(-1, kept, False)
    return groups.masked_fill(dropped.unsqueeze(-1), float("-inf")).flatten(-2)
