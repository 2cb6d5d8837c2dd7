"""The short depthwise causal convolution before the Mamba scan, packed.

Each sequence is preceded by its own `kernel - 1` rows: zeros, or what its cache kept.

Letters: T tokens, S sequences, C channels, K kernel.
"""

import torch
from torch import Tensor


def causal_conv_reference(
    x_TC: Tensor, weight_CK: Tensor, bias_C: Tensor | None, *, cu_seqlens: Tensor
) -> Tensor:
    """`y_t = bias + sum_k w_k x_{t-K+1+k}`, written down, sequence by sequence."""
    bounds, K = cu_seqlens.tolist(), weight_CK.shape[1]
    y = torch.zeros_like(x_TC)
    for start, stop in zip(bounds, bounds[1:], strict=False):
        for t in range(start, stop):
            for k in range(K):
                if t - K + 1 + k >= start:
                    y[t] += weight_CK[:, k] * x_TC[t - K + 1 + k]
            if bias_C is not None:
                y[t] += bias_C
    return y


def causal_conv(
    x_TC: Tensor,
    weight_CK: Tensor,
    bias_C: Tensor | None,
    *,
    cu_seqlens: Tensor,
    initial_rows: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Convolve every sequence on its own.

    Args:
        initial_rows: `(S, K - 1, C)` inputs that came before each sequence; zeros if None.

    Returns:
        y `(T, C)`, and the last `K - 1` input rows of each sequence `(S, K - 1, C)` if
        `initial_rows` was given.
    """
    T, C = x_TC.shape
    K = weight_CK.shape[1]
    S = cu_seqlens.shape[0] - 1
    taps = weight_CK.t()
    # once, not in every product: products of two dtypes are some ten times slower on a CPU
    x_TC = x_TC.to(torch.promote_types(x_TC.dtype, weight_CK.dtype))
    rows = initial_rows if initial_rows is not None else x_TC.new_zeros(S, K - 1, C)
    if S == 1:
        padded, picked = torch.cat([rows[0].to(x_TC.dtype), x_TC]), None
    else:
        lengths = (cu_seqlens[1:] - cu_seqlens[:-1]).long()
        seq = torch.repeat_interleave(torch.arange(S, device=x_TC.device), lengths, output_size=T)
        picked = torch.arange(T, device=x_TC.device) + seq * (
            K - 1
        )  # first input row of each window
        padded = x_TC.new_zeros(T + S * (K - 1), C).index_copy(0, picked + K - 1, x_TC)
        if initial_rows is not None:
            heads = cu_seqlens[:-1].long() + torch.arange(S, device=x_TC.device) * (K - 1)
            heads = (heads[:, None] + torch.arange(K - 1, device=x_TC.device)).flatten()
            padded = padded.index_copy(0, heads, rows.to(x_TC.dtype).flatten(0, 1))
    y = _Windows.apply(padded, taps)
    if bias_C is not None:
        y += bias_C
    last = None
    if initial_rows is not None:
        ends = cu_seqlens[1:].long() + torch.arange(1, S + 1, device=x_TC.device) * (K - 1)
        last = padded[ends[:, None] - torch.arange(K - 1, 0, -1, device=x_TC.device)]
    return (y if picked is None else y[picked]), last


class _Windows(torch.autograd.Function):
    """`y_t = sum_k taps_k * padded_{t+k}` of `(T + K - 1, C)` and `(K, C)`.

    Written out because autograd's gradient of each slice is a zero tensor of the whole.
    """

    @staticmethod
    def forward(ctx, padded: Tensor, taps: Tensor) -> Tensor:
        ctx.save_for_backward(padded, taps)
        windows = padded.shape[0] - taps.shape[0] + 1
        y = padded[:windows] * taps[0]
        for k, tap in enumerate(taps[1:], start=1):
            y.addcmul_(padded[k : k + windows], tap)
        return y

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, Tensor]:
        (grad,), (padded, taps) = grads, ctx.saved_tensors
        windows = grad.shape[0]
        grad_padded = torch.zeros_like(padded)
        grad_taps = []
        for k, tap in enumerate(taps):
            grad_padded[k : k + windows].addcmul_(grad, tap)
            grad_taps.append((grad * padded[k : k + windows]).sum(0))
        return grad_padded, torch.stack(grad_taps)


def causal_conv_step(
    x_SC: Tensor, weight_CK: Tensor, bias_C: Tensor | None, rows_SKC: Tensor
) -> Tensor:
    """One token of each sequence, `(S, C)`; `rows_SKC` `(S, K - 1, C)` is shifted in place."""
    taps = weight_CK.t()
    y = torch.addcmul((rows_SKC * taps[:-1]).sum(1), x_SC, taps[-1])
    rows_SKC[:, :-1] = rows_SKC[:, 1:].clone()
    rows_SKC[:, -1] = x_SC
    return y if bias_C is None else y + bias_C
