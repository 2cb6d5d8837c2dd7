"""The Mamba-1 recurrence (selective scan, arXiv:2312.00752), packed.

    h_t = exp(dt_t A) h_{t-1} + dt_t B_t x_t        y_t = C_t . h_t + D x_t

Every channel has a step size and decay rates of its own, so nothing of it is a matrix product
over time, as it is in Mamba-2. `selective_scan_reference` is the recurrence written down;
`selective_scan` computes the same block by block: the states of a block exist while it is
worked on, and the backward pass makes them again from the state at the block's start. The
state starts from zero, or from the given state, at every boundary of `cu_seqlens`, and is
float32.

Letters: T tokens, S sequences, C channels, N state size, L tokens of a block.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Elements of one block's states (tokens x channels x state size). Larger blocks mean fewer calls,
# and a CPU's caches hold only so much.
_BLOCK_ELEMENTS = {"cpu": 1 << 19}
_BLOCK_ELEMENTS_ELSEWHERE = 1 << 25
_LONGEST_BLOCK = 64


def selective_scan_reference(
    x_TC: Tensor,
    dt_TC: Tensor,
    A_CN: Tensor,
    B_TN: Tensor,
    C_TN: Tensor,
    D_C: Tensor,
    *,
    cu_seqlens: Tensor,
    initial_states: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The recurrence, one token at a time, in float32 (float64 inputs stay float64).

    Returns:
        y `(T, C)` and the final states `(S, C, N)`.
    """
    wide = torch.promote_types(x_TC.dtype, torch.float32)
    x, dt, A, B, C, D = (t.to(wide) for t in (x_TC, dt_TC, A_CN, B_TN, C_TN, D_C))
    bounds = cu_seqlens.tolist()
    ys, finals = [], []
    for s, (start, stop) in enumerate(zip(bounds, bounds[1:], strict=False)):
        state = torch.zeros_like(A) if initial_states is None else initial_states[s].to(wide)
        for t in range(start, stop):
            decay = torch.exp(dt[t, :, None] * A)
            state = decay * state + (dt[t] * x[t])[:, None] * B[t]
            ys.append(state @ C[t] + D * x[t])
        finals.append(state)
    return torch.stack(ys).to(x_TC.dtype), torch.stack(finals)


def selective_scan(
    x_TC: Tensor,
    dt_TC: Tensor,
    A_CN: Tensor,
    B_TN: Tensor,
    C_TN: Tensor,
    D_C: Tensor,
    *,
    cu_seqlens: Tensor,
    initial_states: Tensor | None = None,
    block_size: int | None = None,
) -> tuple[Tensor, Tensor]:
    """The recurrence in blocks, in float32 (float64 inputs stay float64).

    Args:
        x_TC: values; dt_TC: step sizes after softplus; A_CN: negative decay rates;
        B_TN, C_TN: input and output maps, shared by all channels; D_C: skip.
        cu_seqlens: int32 `(S + 1,)` boundaries of the packed sequences.
        initial_states: `(S, C, N)` to start from instead of zero.
        block_size: tokens a block, chosen by the size of a state if None; changes the speed
            and the memory, not the result.

    Returns:
        y `(T, C)` in x's dtype and the final states `(S, C, N)`.
    """
    wide = torch.promote_types(x_TC.dtype, torch.float32)
    x, dt, A, B, C = (t.to(wide) for t in (x_TC, dt_TC, A_CN, B_TN, C_TN))
    plan = _Plan(cu_seqlens.tolist(), block_size or _block_size(A))
    if initial_states is None:
        starts = A.new_zeros(len(plan.bounds) - 1, *A.shape)
    else:
        starts = initial_states.to(wide)
    with torch.autocast(x.device.type, enabled=False):
        y, finals = _Scan.apply(dt * x, dt, A, B, C, starts, plan)
        return torch.addcmul(y, x, D_C.to(wide)).to(x_TC.dtype), finals


def selective_scan_step(
    x_SC: Tensor,
    dt_SC: Tensor,
    A_CN: Tensor,
    B_SN: Tensor,
    C_SN: Tensor,
    D_C: Tensor,
    state_SCN: Tensor,
) -> Tensor:
    """One token of each sequence, y `(S, C)`; `state_SCN` (float32) is updated in place."""
    x, dt = x_SC.float(), dt_SC.float()
    state_SCN *= torch.exp(dt[:, :, None] * A_CN)
    state_SCN.addcmul_((dt * x)[:, :, None], B_SN.float()[:, None, :])
    y = torch.matmul(C_SN.float()[:, None], state_SCN.float().mT).squeeze(1)
    return torch.addcmul(y, x, D_C.float()).to(x_SC.dtype)


def _block_size(A_CN: Tensor) -> int:
    """Tokens a block. At least the state size: the states kept at the blocks' starts then take
    no more than one value for each token and channel."""
    elements = _BLOCK_ELEMENTS.get(A_CN.device.type, _BLOCK_ELEMENTS_ELSEWHERE)
    return max(A_CN.shape[1], min(_LONGEST_BLOCK, elements // A_CN.numel()))


@dataclass(frozen=True)
class _Plan:
    """How a packed row is cut: blocks never cross a boundary between sequences."""

    bounds: list[int]
    block_size: int

    def blocks(self) -> Iterator[tuple[int, int, int]]:
        """Sequence, first token and end of every block, in order."""
        for s, (start, stop) in enumerate(zip(self.bounds, self.bounds[1:], strict=False)):
            for first in range(start, stop, self.block_size):
                yield s, first, min(first + self.block_size, stop)


def _block_states(u_LC: Tensor, dt_LC: Tensor, A_CN: Tensor, B_LN: Tensor, start_CN: Tensor):
    """Decays and states of every token of a block, both `(L, C, N)`.

    No decay is larger than 1, so nothing can overflow, and none is divided by.
    """
    decays = torch.exp_(dt_LC[:, :, None] * A_CN)
    states = u_LC[:, :, None] * B_LN[:, None, :]
    before = start_CN
    for decay, state in zip(decays.unbind(), states.unbind(), strict=True):
        before = state.addcmul_(decay, before)
    return decays, states


class _Scan(torch.autograd.Function):
    """`(u, dt, A, B, C, start states)` to y without the skip, and the final states; `u = dt x`."""

    @staticmethod
    def forward(
        ctx,
        u_TC: Tensor,
        dt_TC: Tensor,
        A_CN: Tensor,
        B_TN: Tensor,
        C_TN: Tensor,
        starts_SCN: Tensor,
        plan: _Plan,
    ) -> tuple[Tensor, Tensor]:
        y = torch.empty_like(u_TC)
        finals = starts_SCN.clone()
        keeps = any(ctx.needs_input_grad)
        kept = []
        for s, start, stop in plan.blocks():
            at = slice(start, stop)
            if keeps:
                kept.append(finals[s].clone())
            _, states = _block_states(u_TC[at], dt_TC[at], A_CN, B_TN[at], finals[s])
            # the states on the right: a product with one column is four times slower
            torch.matmul(C_TN[at, None], states.mT, out=y[at, None])
            finals[s] = states[-1]
        if keeps:
            ctx.plan = plan
            ctx.save_for_backward(u_TC, dt_TC, A_CN, B_TN, C_TN, torch.stack(kept))
        return y, finals

    @staticmethod
    @once_differentiable
    def backward(ctx, *grads: Tensor):
        grad_y, grad_finals = grads
        u, dt, A, B, C, kept = ctx.saved_tensors
        du, ddt, dB, dC = (torch.empty_like(t) for t in (u, dt, B, C))
        dA = torch.zeros_like(A)
        dstarts = grad_finals.clone()  # of each sequence, what its earlier tokens get from later
        for (s, start, stop), before in reversed(
            list(zip(ctx.plan.blocks(), kept.unbind(), strict=True))
        ):
            at = slice(start, stop)
            decays, states = _block_states(u[at], dt[at], A, B[at], before)
            dy = grad_y[at]
            torch.matmul(dy[:, None], states, out=dC[at, None])
            # of every state, from its own output and from the token after it
            dstates = dy[:, :, None] * C[at, None, :]
            later = dstarts[s]
            for dstate, decay in zip(
                reversed(dstates.unbind()), reversed([*decays.unbind()[1:], None]), strict=True
            ):
                later = dstate.add_(later) if decay is None else dstate.addcmul_(decay, later)
            dstarts[s] = decays[0] * dstates[0]
            torch.matmul(u[at, None], dstates, out=dB[at, None])
            torch.matmul(B[at, None], dstates.mT, out=du[at, None])
            # of dt A, the exponent of the decays
            dstates *= decays
            dstates[1:] *= states[:-1]
            dstates[0] *= before
            torch.sum(dstates * A, dim=-1, out=ddt[at])
            dA += (dstates * dt[at, :, None]).sum(0)
        return du, ddt, dA, dB, dC, dstarts, None
