"""A loss that keeps the load of experts even, for routers without a selection bias above all.

Of each MoE layer `N sum_i f_i P_i`: N experts, f_i the tokens an expert got over all tokens, P_i
the mean of its probability (Fedus et al., arXiv:2101.03961; with several experts a token as
Jamba has it, arXiv:2403.19887). It is K, the experts of a token, where the load is even.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers.moe import Router
from ..ops.routing import choose

Routed = list[tuple[Router, Tensor]]  # each router that ran, and the tokens `(T, D)` it saw


@contextmanager
def routed_tokens(module: nn.Module) -> Iterator[Routed]:
    """Collects what the routers of a model see while this is open."""
    seen: Routed = []

    def note(router: nn.Module, given: tuple[Tensor, ...]) -> None:
        assert isinstance(router, Router)
        seen.append((router, given[0]))

    routers = [each for each in module.modules() if isinstance(each, Router)]
    handles = [router.register_forward_pre_hook(note) for router in routers]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def balance_loss(seen: Routed) -> Tensor | None:
    """The mean over the layers, in float32; None of a model without experts."""
    losses = [_of_layer(router, x_TD) for router, x_TD in seen if len(x_TD)]
    return torch.stack(losses).mean() if losses else None


def _of_layer(router: Router, x_TD: Tensor) -> Tensor:
    with torch.autocast(x_TD.device.type, enabled=False):
        logits_TE = F.linear(x_TD.float(), router.weight.float())
        if router.routing.softmax:
            probs_TE = logits_TE.softmax(-1)
        else:
            scores_TE = logits_TE.sigmoid()
            probs_TE = scores_TE / scores_TE.sum(-1, keepdim=True)
        num_experts = logits_TE.shape[1]
        with torch.no_grad():
            ids, _ = choose(logits_TE, router.e_score_correction_bias, router.routing)
            share_E = ids.flatten().bincount(minlength=num_experts) / len(x_TD)
        return num_experts * (share_E * probs_TE.mean(0)).sum()
