"""The routed experts: squared-ReLU MLPs applied only to the tokens routed to them.

    y_t = sum_k w_tk down_{e_tk}(relu(up_{e_tk} z_t)^2)

Letters: T tokens, K experts per token, E experts, I expert width, L width in and out.
"""

import torch
from torch import Tensor

from .linear import linear


def experts_reference(
    z_TL: Tensor, up_EIL: Tensor, down_ELI: Tensor, expert_ids_TK: Tensor, weights_TK: Tensor
) -> Tensor:
    """Token by token, expert by expert."""
    y = torch.zeros_like(z_TL)
    for t in range(z_TL.shape[0]):
        for e, w in zip(expert_ids_TK[t].tolist(), weights_TK[t], strict=True):
            y[t] += w * (down_ELI[e] @ torch.relu(up_EIL[e] @ z_TL[t]).square())
    return y


def apply_experts(
    z_TL: Tensor, up_EIL: Tensor, down_ELI: Tensor, expert_ids_TK: Tensor, weights_TK: Tensor
) -> Tensor:
    """Sort token-expert pairs by expert, one product per expert that is hit, sum back.

    Args:
        z_TL: `(T, L)`; up_EIL `(E, I, L)`; down_ELI `(E, L, I)`.
        expert_ids_TK: int64 `(T, K)`; weights_TK: their weights, float32.

    Returns:
        `(T, L)` in z's dtype.
    """
    T, K = expert_ids_TK.shape
    if T == 1:
        return _one_token(z_TL, up_EIL, down_ELI, expert_ids_TK[0].tolist(), weights_TK)
    flat = expert_ids_TK.flatten()
    order = flat.argsort(stable=True)
    counts = torch.bincount(flat, minlength=up_EIL.shape[0]).tolist()
    # split and unbind, not indexing: the gradient of an index is a zero tensor of the whole
    pieces = z_TL[order // K].split(counts)
    outputs = []
    for piece, up, down in zip(pieces, up_EIL.unbind(0), down_ELI.unbind(0), strict=True):
        if piece.shape[0]:
            hidden = torch.relu(linear(piece, up))
            outputs.append(linear(hidden * hidden, down))
    pairs = torch.cat(outputs)
    back = torch.empty_like(order)
    back[order] = torch.arange(T * K, device=order.device)
    pairs = pairs[back].view(T, K, -1)
    return torch.matmul(weights_TK.to(pairs.dtype).unsqueeze(1), pairs).squeeze(1)


def _one_token(
    z_1L: Tensor, up_EIL: Tensor, down_ELI: Tensor, expert_ids: list[int], weights_1K: Tensor
) -> Tensor:
    outputs = []
    for e in expert_ids:
        hidden = torch.relu(linear(z_1L, up_EIL[e]))
        outputs.append(linear(hidden * hidden, down_ELI[e]))
    return torch.matmul(weights_1K.to(z_1L.dtype), torch.cat(outputs))
