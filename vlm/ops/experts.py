"""The routed experts: MLPs applied only to the tokens routed to them.

    y_t = sum_k w_tk down_{e_tk}(relu(up_{e_tk} z_t)^2)

or, with a gate, `silu(gate_e z_t) * up_e z_t` in place of the squared ReLU.

Letters: T tokens, K experts per token, E experts, I expert width, L width in and out.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..quantize.packed import PackedWeight
from .linear import linear
from .quantized import in_tiles, kernel_for, packed_linear, put_product

OnHidden = Callable[[Tensor], Tensor]


def experts_reference(
    z_TL: Tensor,
    up_EIL: Tensor,
    down_ELI: Tensor,
    expert_ids_TK: Tensor,
    weights_TK: Tensor,
    gate_EIL: Tensor | None = None,
) -> Tensor:
    """Token by token, expert by expert."""
    y = torch.zeros_like(z_TL)
    for t in range(z_TL.shape[0]):
        for e, w in zip(expert_ids_TK[t].tolist(), weights_TK[t], strict=True):
            up = up_EIL[e] @ z_TL[t]
            hidden = up.relu().square() if gate_EIL is None else F.silu(gate_EIL[e] @ z_TL[t]) * up
            y[t] += w * (down_ELI[e] @ hidden)
    return y


def apply_experts(
    z_TL: Tensor,
    up_EIL: Tensor | PackedWeight,
    down_ELI: Tensor | PackedWeight,
    expert_ids_TK: Tensor,
    weights_TK: Tensor,
    gate_EIL: Tensor | PackedWeight | None = None,
    on_hidden: OnHidden | None = None,
) -> Tensor:
    """Sort token-expert pairs by expert, one product per expert that is hit, sum back.

    Args:
        z_TL: `(T, L)`; up_EIL `(E, I, L)`; down_ELI `(E, L, I)`. Of packed ones, the experts
            that are hit are widened.
        expert_ids_TK: int64 `(T, K)`; weights_TK: their weights, float32.
        gate_EIL: the gates of gated experts.
        on_hidden: what the input `(tokens, I)` of each down projection becomes.

    Returns:
        `(T, L)` in z's dtype.
    """
    stacks = [stack for stack in (up_EIL, down_ELI, gate_EIL) if stack is not None]
    in_place = all(_is_in_place(stack, z_TL) for stack in stacks)
    if on_hidden is not None or torch.is_grad_enabled() or not in_place:
        return _by_expert(z_TL, up_EIL, down_ELI, expert_ids_TK, weights_TK, gate_EIL, on_hidden)
    gates = None if gate_EIL is None else ExpertProducts(gate_EIL)
    ups, downs = ExpertProducts(up_EIL), ExpertProducts(down_ELI)
    y = experts_in_place(z_TL.float(), ups, downs, expert_ids_TK, weights_TK, gates=gates)
    return y.to(z_TL.dtype)


class ExpertProducts:
    """Products with each expert of a stack `(E, N, K)`, in float32: `put(e, x, out)`.

    Attributes:
        put: puts `x @ stack[e].T` into `out`.
    """

    put: Callable[[int, Tensor, Tensor], object]

    def __init__(self, stack: Tensor | PackedWeight) -> None:
        self.num, self.width, _ = stack.shape
        if isinstance(stack, PackedWeight):
            self.put = lambda e, x, out: put_product(x, stack, out, expert=e)
        else:
            matrices = stack.mT.unbind()
            self.put = lambda e, x, out: torch.mm(x, matrices[e], out=out)


def _is_in_place(stack: Tensor | PackedWeight, z_TL: Tensor) -> bool:
    if isinstance(stack, PackedWeight):
        return kernel_for(stack, z_TL) is in_tiles
    return stack.dtype == z_TL.dtype == torch.float32


def _by_expert(
    z_TL: Tensor,
    up_EIL: Tensor | PackedWeight,
    down_ELI: Tensor | PackedWeight,
    expert_ids_TK: Tensor,
    weights_TK: Tensor,
    gate_EIL: Tensor | PackedWeight | None,
    on_hidden: OnHidden | None,
) -> Tensor:
    """With gradients, for any dtype, and for packed weights."""
    T, K = expert_ids_TK.shape
    flat = expert_ids_TK.flatten()
    order = flat.argsort(stable=True)
    counts = torch.bincount(flat, minlength=up_EIL.shape[0]).tolist()
    ups, downs = _products(up_EIL, z_TL), _products(down_ELI, z_TL)
    gates = None if gate_EIL is None else _products(gate_EIL, z_TL)
    outputs = []
    for e, part in enumerate(z_TL[order // K].split(counts)):
        if not part.shape[0]:
            continue
        hidden = ups(e, part)
        if gates is None:
            hidden = torch.relu(hidden)
            hidden = hidden * hidden
        else:
            hidden = F.silu(gates(e, part)) * hidden
        if on_hidden is not None:
            hidden = on_hidden(hidden)
        outputs.append(downs(e, hidden))
    pairs = torch.cat(outputs)
    back = torch.empty_like(order)
    back[order] = torch.arange(T * K, device=order.device)
    pairs = pairs[back].view(T, K, -1)
    return torch.matmul(weights_TK.to(pairs.dtype).unsqueeze(1), pairs).squeeze(1)


def _products(stack: Tensor | PackedWeight, z_TL: Tensor) -> Callable[[int, Tensor], Tensor]:
    """The product with an expert's weight, in a form that gradients can take."""
    if isinstance(stack, PackedWeight):
        return lambda e, x: packed_linear(x, stack, expert=e)
    if torch.is_autocast_enabled(z_TL.device.type):  # cast once, not expert by expert
        stack = stack.to(z_TL.dtype)
    matrices = stack.unbind()  # the gradient of an index would be a zero tensor of the whole
    return lambda e, x: linear(x, matrices[e])


def experts_in_place(
    z_TL: Tensor,
    ups: ExpertProducts,
    downs: ExpertProducts,
    expert_ids_TK: Tensor,
    weights_TK: Tensor,
    out_TL: Tensor | None = None,
    gates: ExpertProducts | None = None,
) -> Tensor:
    """Without gradients, in float32: all hidden rows in one buffer, weighted there.

    Args:
        ups, downs: of `(E, I, L)` and `(E, L, I)`; gates: as ups, if any.
        out_TL: where the result goes; it may be `z_TL`, which is read before.
    """
    T, K = expert_ids_TK.shape
    y = torch.empty_like(z_TL) if out_TL is None else out_TL
    flat = expert_ids_TK.flatten()
    order = flat.argsort(stable=True)
    tokens = order // K
    sorted_z = z_TL[tokens]
    hidden = z_TL.new_empty(T * K, ups.width)
    spans, start = [], 0
    for e, count in enumerate(torch.bincount(flat, minlength=ups.num).tolist()):
        if count:
            spans.append((e, start, start + count))
            start += count
    for e, start, stop in spans:
        ups.put(e, sorted_z[start:stop], hidden[start:stop])
    gated = None
    if gates is not None:
        gated = torch.empty_like(hidden)
        for e, start, stop in spans:
            gates.put(e, sorted_z[start:stop], gated[start:stop])
    _activate(hidden, gated).mul_(weights_TK.flatten()[order].unsqueeze(-1))
    out = torch.empty_like(sorted_z)
    for e, start, stop in spans:
        downs.put(e, hidden[start:stop], out[start:stop])
    return y.zero_().index_add_(0, tokens, out)


def _activate(hidden: Tensor, gate: Tensor | None) -> Tensor:
    """Squared ReLU, or the product with SiLU of the gate, in place."""
    if gate is None:
        hidden.relu_()
        return hidden.mul_(hidden)
    return hidden.mul_(F.silu(gate, inplace=True))
