"""Causal grouped-query attention over packed sequences and over a cache.

Letters: T new tokens of one sequence, K tokens in its cache, S sequences, H query heads,
G key/value heads, R query heads per group, E head size.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def attention_reference(q_THE: Tensor, k_KGE: Tensor, v_KGE: Tensor) -> Tensor:
    """Softmax attention of one sequence written down; query t sees keys up to K - T + t."""
    T, H, E = q_THE.shape
    K, G, _ = k_KGE.shape
    k = k_KGE.repeat_interleave(H // G, dim=1)
    v = v_KGE.repeat_interleave(H // G, dim=1)
    scores = torch.einsum("the,khe->htk", q_THE, k) * E**-0.5
    hidden = torch.arange(K, device=q_THE.device)[None, :] > torch.arange(
        K - T, K, device=q_THE.device
    ).unsqueeze(1)
    weights = scores.masked_fill(hidden, float("-inf")).softmax(-1)
    return torch.einsum("htk,khe->the", weights, v)


def causal_attention(q_THE: Tensor, k_GKE: Tensor, v_GKE: Tensor) -> Tensor:
    """Attention of one sequence's T newest tokens over all its K tokens.

    Args:
        q_THE: `(T, H, E)`; k_GKE, v_GKE: `(G, K, E)`, the last T of them the new tokens.

    Returns:
        `(T, H, E)`.
    """
    T, H, _ = q_THE.shape
    G, K, _ = k_GKE.shape
    q = q_THE.transpose(0, 1)[None]
    if G != H:
        k_GKE = k_GKE.repeat_interleave(H // G, dim=0)
        v_GKE = v_GKE.repeat_interleave(H // G, dim=0)
    mask = None
    if 1 < T < K:
        mask = torch.ones(T, K, dtype=torch.bool, device=q.device).tril(K - T)
    out = F.scaled_dot_product_attention(
        q, k_GKE[None], v_GKE[None], attn_mask=mask, is_causal=T == K and T > 1
    )
    return out[0].transpose(0, 1)


def packed_attention(q_THE: Tensor, k_TGE: Tensor, v_TGE: Tensor, bounds: list[int]) -> Tensor:
    """Causal attention inside each sequence of a packed row. Returns `(T, H, E)`."""
    lengths = [stop - start for start, stop in zip(bounds, bounds[1:], strict=False)]
    # split, not slices: the gradient of a slice is a zero tensor of the whole row
    outputs = [
        causal_attention(q, k.transpose(0, 1), v.transpose(0, 1))
        for q, k, v in zip(
            q_THE.split(lengths), k_TGE.split(lengths), v_TGE.split(lengths), strict=True
        )
    ]
    return torch.cat(outputs) if len(outputs) > 1 else outputs[0]


def decode_attention(q_SHE: Tensor, k_SGKE: Tensor, v_SGKE: Tensor, lengths: list[int]) -> Tensor:
    """One new token of each sequence over its cache.

    Args:
        q_SHE: `(S, H, E)`; k_SGKE, v_SGKE: the caches `(S, G, capacity, E)`.
        lengths: tokens of each sequence to look at, the new one included.

    Returns:
        `(S, H, E)`.
    """
    S, H, E = q_SHE.shape
    G = k_SGKE.shape[1]
    longest = max(lengths)
    q = q_SHE.view(S, G, H // G, E)
    keys, values = k_SGKE[:, :, :longest], v_SGKE[:, :, :longest]
    scores = torch.matmul(q, keys.transpose(2, 3)).float() * E**-0.5
    if min(lengths) != longest:
        limit = torch.tensor(lengths, device=q.device).view(S, 1, 1, 1)
        scores = scores.masked_fill(torch.arange(longest, device=q.device) >= limit, float("-inf"))
    return torch.matmul(scores.softmax(-1).to(values.dtype), values).view(S, H, E)
