"""Muon (Jordan et al. 2024): the momentum of a matrix, turned into the nearest orthogonal one.

`torch.optim.Muon` iterates in bfloat16 always and matrix by matrix, which on a CPU without
bfloat16 units takes longer than the forward and backward passes together. Here matrices of one
shape are iterated together, stacks of experts included, in float32 where that is the fast format.

With the scale `0.2 sqrt(max(rows, columns))` (Liu et al., arXiv:2502.16982) an update is as large
as AdamW's, so it takes AdamW's learning rates.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from ..ops.linear import cpu_multiplies_bfloat16

# Of the quintic iteration: as steep as possible at zero, all singular values to about 1.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_STEPS = 5
_UPDATE_RMS = 0.2  # of AdamW's updates


def orthogonalise(matrices: Tensor) -> Tensor:
    """The orthogonal factors of `(..., rows, columns)`, by five Newton-Schulz steps.

    Singular values end between about 0.7 and 1.2, which is near enough for an update.
    """
    device = matrices.device.type
    narrow = device == "cuda" or (device == "cpu" and cpu_multiplies_bfloat16())
    x = matrices.to(torch.bfloat16 if narrow else torch.float32)
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-7)
    for _ in range(_STEPS):
        gram = x @ x.mT
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    return (x.mT if tall else x).to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """For matrices `(rows, columns)` and stacks of them `(..., rows, columns)`.

    Args:
        params: parameters or groups, which may carry `lr` and `weight_decay` of their own.
        lr: learning rate.
        weight_decay: decoupled, as AdamW's.
        momentum: of the gradient's running sum; the update looks one step ahead (Nesterov).
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        *,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One update of every parameter that has a gradient."""
        assert closure is None, "this optimizer evaluates nothing again"
        by_shape: dict[tuple[int, int], list[tuple[Tensor, Tensor, float]]] = {}
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                rows, columns = parameter.shape[-2:]
                update = self._momentum(parameter, group["momentum"]).view(-1, rows, columns)
                size = group["lr"] * _UPDATE_RMS * max(rows, columns) ** 0.5
                by_shape.setdefault((rows, columns), []).append((parameter, update, size))
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
        for entries in by_shape.values():
            updates = [update for _, update, _ in entries]
            steps = orthogonalise(torch.cat(updates)).split([len(update) for update in updates])
            for (parameter, _, size), step in zip(entries, steps, strict=True):
                parameter.sub_(step.view_as(parameter), alpha=size)

    def _momentum(self, parameter: Tensor, momentum: float) -> Tensor:
        assert parameter.grad is not None
        state = self.state[parameter]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        buffer = state["momentum_buffer"]
        buffer.lerp_(parameter.grad, 1 - momentum)
        return parameter.grad.lerp(buffer, momentum)
