"""The Mamba-2 recurrence (state-space duality, arXiv:2405.21060), packed.

    h_t = exp(dt_t A) h_{t-1} + dt_t B_t x_t        y_t = C_t . h_t + D x_t

`ssd_reference` is the recurrence written down; `ssd_scan` computes the same in chunks
with matrix products (section 6 of the paper), memory linear in length. The state starts
from zero, or from the given state, at every boundary of `cu_seqlens`, and is float32.

Letters: T tokens, S sequences, H heads, P head size, G groups, R heads per group,
N state size, C chunks, L tokens of a chunk.
"""

import torch
from torch import Tensor


def ssd_reference(
    x_THP: Tensor,
    dt_TH: Tensor,
    A_H: Tensor,
    B_TGN: Tensor,
    C_TGN: Tensor,
    D_H: Tensor,
    *,
    cu_seqlens: Tensor,
    initial_states: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The recurrence, one token at a time, in float32 (float64 inputs stay float64).

    Returns:
        y `(T, H, P)` and the final states `(S, H, P, N)`.
    """
    wide = torch.promote_types(x_THP.dtype, torch.float32)
    x, dt, A, B, C, D = (t.to(wide) for t in (x_THP, dt_TH, A_H, B_TGN, C_TGN, D_H))
    heads_per_group = x.shape[1] // B.shape[1]
    B, C = (t.repeat_interleave(heads_per_group, dim=1) for t in (B, C))
    bounds = cu_seqlens.tolist()
    ys, finals = [], []
    for s, (start, stop) in enumerate(zip(bounds, bounds[1:], strict=False)):
        state = x.new_zeros(x.shape[1], x.shape[2], B.shape[2])
        if initial_states is not None:
            state = initial_states[s].to(wide)
        for t in range(start, stop):
            decay = torch.exp(dt[t] * A)[:, None, None]
            state = decay * state + (dt[t, :, None] * x[t])[:, :, None] * B[t][:, None, :]
            ys.append((state * C[t][:, None, :]).sum(-1) + D[:, None] * x[t])
        finals.append(state)
    y = torch.stack(ys) if ys else torch.zeros_like(x)
    return y.to(x_THP.dtype), torch.stack(finals)


def ssd_scan(
    x_THP: Tensor,
    dt_TH: Tensor,
    A_H: Tensor,
    B_TGN: Tensor,
    C_TGN: Tensor,
    D_H: Tensor,
    *,
    cu_seqlens: Tensor,
    initial_states: Tensor | None = None,
    return_final_states: bool = False,
    chunk_size: int = 64,
) -> tuple[Tensor, Tensor | None]:
    """The recurrence in chunks.

    Args:
        x_THP: values; dt_TH: step sizes after softplus, float32; A_H: negative decay rates;
        B_TGN, C_TGN: input and output maps, shared by the heads of a group; D_H: skip.
        cu_seqlens: int32 `(S + 1,)` boundaries of the packed sequences.
        initial_states: `(S, H, P, N)` to start from instead of zero.
        chunk_size: tokens a chunk; changes the speed, not the result.

    Returns:
        y `(T, H, P)` in x's dtype, and the final states `(S, H, P, N)` in float32 if asked for.
    """
    if initial_states is None and not return_final_states:
        return _scan(x_THP, dt_TH, A_H, B_TGN, C_TGN, D_H, cu_seqlens, None, chunk_size)[0], None
    bounds = cu_seqlens.tolist()
    ys, finals = [], []
    for s, (start, stop) in enumerate(zip(bounds, bounds[1:], strict=False)):
        y, final = _scan(
            x_THP[start:stop],
            dt_TH[start:stop],
            A_H,
            B_TGN[start:stop],
            C_TGN[start:stop],
            D_H,
            None,
            None if initial_states is None else initial_states[s],
            chunk_size,
        )
        ys.append(y)
        finals.append(final)
    return (torch.cat(ys) if len(ys) > 1 else ys[0]), torch.stack(finals)


def ssd_step(
    x_SHP: Tensor,
    dt_SH: Tensor,
    A_H: Tensor,
    B_SGN: Tensor,
    C_SGN: Tensor,
    D_H: Tensor,
    state_SHPN: Tensor,
) -> Tensor:
    """One token of each sequence, y `(S, H, P)`; `state_SHPN` (float32) is updated in place."""
    S, H, P = x_SHP.shape
    G = B_SGN.shape[1]
    x = x_SHP.float()
    dt = dt_SH.float()
    state = state_SHPN.view(S, G, H // G, P, -1)
    state *= torch.exp(dt * A_H).view(S, G, H // G, 1, 1)
    xdt = (x * dt[..., None]).view(S, G, H // G, P, 1)
    state.addcmul_(xdt, B_SGN.float()[:, :, None, None, :])
    # the state on the right: a product with one column is several times slower than with one row
    y = torch.matmul(C_SGN.float().unsqueeze(2), state.flatten(2, 3).mT).view(S, H, P)
    return torch.addcmul(y, x, D_H[:, None]).to(x_SHP.dtype)


def _chunked(t: Tensor, chunks: int, length: int) -> Tensor:
    """`(T, ...)` to `(C, L, ...)`, padded with zeros at the end."""
    missing = chunks * length - t.shape[0]
    if missing:
        t = torch.cat([t, t.new_zeros(missing, *t.shape[1:])])
    return t.reshape(chunks, length, *t.shape[1:])


def _differences(sums_CHL: Tensor) -> Tensor:
    """All `sums_i - sums_j` `(C, H, L, L)` in float32, exact but for one rounding.

    Each sum is split in two float32 parts, which is five times as fast as subtracting in float64.
    """
    if sums_CHL.dtype == torch.float32:
        return sums_CHL[..., :, None] - sums_CHL[..., None, :]
    high = sums_CHL.float()
    low = (sums_CHL.detach() - high.detach()).float()
    differences = high[..., :, None] - high[..., None, :]
    return differences.add_(low[..., :, None] - low[..., None, :])


def _scan(
    x_THP: Tensor,
    dt_TH: Tensor,
    A_H: Tensor,
    B_TGN: Tensor,
    C_TGN: Tensor,
    D_H: Tensor,
    cu_seqlens: Tensor | None,
    initial_state: Tensor | None,
    chunk_size: int,
) -> tuple[Tensor, Tensor]:
    """Chunks over the whole row, masks keep sequences apart; one sequence without `cu_seqlens`."""
    T, H, P = x_THP.shape
    G, N = B_TGN.shape[1:]
    R = H // G
    L = min(chunk_size, T)
    C = -(-T // L)
    device = x_THP.device
    needs_grad = torch.is_grad_enabled()

    dt = dt_TH.float()
    # Log decay from the chunk's start (C, L, H). Differences of these sums are what counts, and one
    # token that forgets everything makes the sums large: in float64 the differences stay exact.
    exact = torch.float32 if device.type == "mps" else torch.float64
    decay = _chunked(dt * A_H, C, L).cumsum(1, dtype=exact)
    x = x_THP.float()
    xdt = _chunked(x * dt[..., None], C, L).view(C, L, G, R, P)
    B = _chunked(B_TGN.float(), C, L).transpose(1, 2)  # (C, G, L, N)
    Cm = _chunked(C_TGN.float(), C, L).transpose(1, 2)

    keep_LL = torch.ones(L, L, dtype=torch.bool, device=device).tril()
    same_CL = None
    if cu_seqlens is not None and cu_seqlens.shape[0] > 2:
        lengths = cu_seqlens[1:] - cu_seqlens[:-1]
        seq = torch.repeat_interleave(
            torch.arange(len(lengths), device=device), lengths.long(), output_size=T
        )
        seq = _chunked(seq + 1, C, L)  # padding is sequence 0
        keep_LL = keep_LL & (seq[:, :, None] == seq[:, None, :])
        last = seq[-1, (T - 1) % L]
        seq = torch.where(seq == 0, last, seq)
        before = torch.cat([seq[:1, 0], seq[:-1, -1]])
        same_CL = seq == before[:, None]  # which tokens still see the state carried in
        to_end_CL = seq == seq[:, -1:]
        carried_C = same_CL[:, -1]
    else:
        keep_LL = keep_LL.expand(C, L, L)

    # inside a chunk: y_i += sum_j (C_i . B_j) exp(decay_i - decay_j) dt_j x_j
    weights = _differences(decay.transpose(1, 2))
    weights = weights.masked_fill_(~keep_LL[:, None], float("-inf")).exp_().view(C, G, R, L, L)
    scores = torch.matmul(Cm, B.transpose(2, 3))
    weights = weights * scores[:, :, None] if needs_grad else weights.mul_(scores[:, :, None])
    xdt_heads = xdt.permute(0, 2, 3, 1, 4)  # (C, G, R, L, P)
    y = torch.matmul(weights, xdt_heads)

    # what a chunk adds to the state at its end
    to_end = torch.exp((decay[:, -1:] - decay).float())
    if same_CL is not None:
        to_end = to_end * to_end_CL[..., None]
    weighted = (xdt * to_end.view(C, L, G, R, 1)).permute(0, 2, 1, 3, 4).reshape(C, G, L, R * P)
    added = torch.matmul(B.transpose(2, 3), weighted)  # (C, G, N, R * P)

    # carry the state from chunk to chunk
    whole = torch.exp(decay[:, -1].float())
    if same_CL is not None:
        whole = whole * carried_C[:, None]
    whole = whole.view(C, G, 1, R, 1).expand(C, G, 1, R, P).reshape(C, G, 1, R * P)
    if initial_state is None:
        state = x.new_zeros(G, N, R * P)
    else:
        state = initial_state.float().view(G, R * P, N).transpose(1, 2)
    states = []
    # unbind, not indexing: the gradient of an index is a zero tensor of the whole, per chunk
    for more, kept in zip(added.unbind(0), whole.unbind(0), strict=True):
        states.append(state)
        state = torch.addcmul(more, kept, state)
    if C > 1 or initial_state is not None:
        carried = torch.matmul(Cm, torch.stack(states)).view(C, G, L, R, P).permute(0, 1, 3, 2, 4)
        from_start = torch.exp(decay.float())
        if same_CL is not None:
            from_start = from_start * same_CL[..., None]
        y.addcmul_(carried, from_start.view(C, L, G, R).permute(0, 2, 3, 1)[..., None])

    y = y.permute(0, 3, 1, 2, 4).reshape(C * L, H, P)[:T]
    y.addcmul_(x, D_H[:, None])
    return y.to(x_THP.dtype), state.transpose(1, 2).reshape(H, P, N)
