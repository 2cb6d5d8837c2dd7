"""One token of every sequence through all layers: the step that writing an answer repeats.

`build_step` is the boundary. It takes each layer's tensors and cache, and returns a function
from the residual stream `(S, D)` to the residual stream; what the steps of one cache share is
computed once, when it is built. A step of compiled code would stand in its place.

The layers compute the same for any number of tokens; here, at one token, the products read
every weight once and small operations cost as much as they do, so there are as few as
possible: products add into the residual, views and buffers are made beforehand.

Letters: S sequences, D hidden, H heads, P head size, G groups, N state size, C channels of
the convolution, K its kernel, E experts, I expert width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .arena import joined
from .attention import decode_attention
from .experts import experts_in_place
from .routing import Routing, choose

Step = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class MambaWeights:
    """The tensors of a Mamba-2 layer, named as on disk; `num_groups` B/C groups."""

    norm: Tensor
    eps: float
    in_proj: Tensor
    conv_weight: Tensor
    conv_bias: Tensor | None
    dt_bias: Tensor
    dt_limit: tuple[float, float] | None
    A_log: Tensor
    D: Tensor
    gated_norm: Tensor
    out_proj: Tensor
    num_groups: int
    state_size: int


@dataclass(frozen=True, kw_only=True)
class AttentionWeights:
    norm: Tensor
    eps: float
    q_proj: Tensor
    k_proj: Tensor
    v_proj: Tensor
    o_proj: Tensor
    head_dim: int


@dataclass(frozen=True, kw_only=True)
class MlpWeights:
    norm: Tensor
    eps: float
    up_proj: Tensor
    down_proj: Tensor


@dataclass(frozen=True, kw_only=True)
class MoeWeights:
    """`fc1`, `fc2` are the latent projections, if there are any; experts are stacked."""

    norm: Tensor
    eps: float
    gate: Tensor
    gate_bias: Tensor
    routing: Routing
    up_proj: Tensor
    down_proj: Tensor
    fc1: Tensor | None
    fc2: Tensor | None
    shared_up: Tensor
    shared_down: Tensor


LayerWeights = MambaWeights | AttentionWeights | MlpWeights | MoeWeights


def build_step(layers: Sequence[LayerWeights], caches: Sequence, num_seqs: int) -> Step:
    """A function that takes `(num_seqs, D)` through all layers and updates their caches.

    Args:
        layers: float32 tensors of every layer.
        caches: what `vlm/cache.py` holds for each of them.
        num_seqs: sequences in the caches.
    """
    steps: list[Step] = []
    # buffers are written in every step, in inference mode or not
    with torch.inference_mode(False), torch.no_grad():
        scratch = None
        for layer, cache in zip(layers, caches, strict=True):
            if isinstance(layer, MambaWeights):
                scratch = scratch or _MambaScratch(layer, num_seqs)
                steps.append(_mamba_step(layer, cache, scratch))
            elif isinstance(layer, AttentionWeights):
                steps.append(_attention_step(layer, cache))
            elif isinstance(layer, MoeWeights):
                steps.append(_moe_step(layer))
            else:
                steps.append(_mlp_step(layer))

    def step(x_SD: Tensor) -> Tensor:
        for one in steps:
            x_SD = one(x_SD)
        return x_SD

    return step


class _RowNorm:
    """`F.rms_norm` for few rows, in fewer operations; `addcmul` takes its number as it is."""

    def __init__(self, weight: Tensor, eps: float) -> None:
        self.weight, self.eps = weight, eps
        self.nothing = torch.zeros_like(weight)
        self.eps_tensor = weight.new_full((), eps)

    def __call__(self, x_SD: Tensor) -> Tensor:
        if x_SD.shape[0] == 1 and x_SD.device.type == "cpu":
            row = x_SD[0]
            mean = float(torch.dot(row, row)) / row.shape[0]
            scale = (mean + self.eps) ** -0.5
            return torch.addcmul(self.nothing, x_SD, self.weight, value=scale)
        return torch.mul(x_SD, self.weight).mul_(_inverse_rms(x_SD, self.eps_tensor))


def _inverse_rms(x: Tensor, eps: Tensor) -> Tensor:
    """`1 / sqrt(mean(x^2) + eps)` over the last dimension, kept."""
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return torch.addcmul(eps, norm, norm, value=1 / x.shape[-1]).rsqrt_()


class _MambaScratch:
    """Buffers that all Mamba layers of a step write in turn, with the views they are read by."""

    def __init__(self, w: MambaWeights, num_seqs: int) -> None:
        channels, kernel = w.conv_weight.shape[0], w.conv_weight.shape[-1]
        heads, groups, N = w.A_log.shape[0], w.num_groups, w.state_size
        inner = channels - 2 * groups * N
        S, R, P = num_seqs, heads // groups, inner // heads

        def empty(*shape: int) -> Tensor:
            return torch.empty(*shape, device=w.in_proj.device, dtype=w.in_proj.dtype)

        self.projected = empty(S, w.in_proj.shape[0])
        self.gate, conv_in, self.dt = self.projected.split([inner, channels, heads], dim=-1)
        self.conv_in = conv_in[:, None]
        self.window = empty(S, kernel, channels)
        self.window_tail = self.window[:, 1:]
        self.taps = self.window.unbind(1)
        self.conv_out = empty(S, channels)
        x, B, C = self.conv_out.split([inner, groups * N, groups * N], dim=-1)
        self.x_heads = x.view(S, heads, P)
        self.B = B.view(S, groups, 1, N)
        self.C = C.view(S, groups, 1, N)
        self.xdt = empty(S, heads, P)
        self.xdt_columns = self.xdt.view(S, groups, R * P, 1)
        self.y = empty(S, groups, 1, R * P)
        self.y_heads, self.y_row = self.y.view(S, heads, P), self.y.view(S, inner)
        self.y_groups = self.y.view(S, groups, R * P)


def _mamba_step(w: MambaWeights, cache, scratch: _MambaScratch) -> Step:
    s, norm = scratch, _RowNorm(w.norm, w.eps)
    in_proj, out_proj = w.in_proj.t(), w.out_proj.t()
    taps = w.conv_weight.flatten(1).t().contiguous().unbind()
    conv_bias = torch.zeros_like(taps[0]) if w.conv_bias is None else w.conv_bias
    A, D = -torch.exp(w.A_log), w.D[:, None]
    S, groups = s.y.shape[:2]
    state = cache.state.view(S, A.shape[0], -1)
    state_groups = cache.state.view(S, groups, -1, w.state_size)
    state_columns = state_groups.transpose(2, 3)

    def step(x_SD: Tensor) -> Tensor:
        torch.mm(norm(x_SD), in_proj, out=s.projected)
        torch.cat([cache.conv_rows, s.conv_in], dim=1, out=s.window)
        cache.conv_rows.copy_(s.window_tail)
        y = torch.addcmul(conv_bias, s.taps[0], taps[0], out=s.conv_out)
        for row, tap in zip(s.taps[1:], taps[1:], strict=True):
            y.addcmul_(row, tap)
        F.silu(y, inplace=True)
        dt = F.softplus(torch.add(s.dt, w.dt_bias))
        if w.dt_limit is not None:
            dt = dt.clamp(*w.dt_limit)
        state.mul_(torch.mul(dt, A).exp_().unsqueeze(-1))
        torch.mul(s.x_heads, dt.unsqueeze(-1), out=s.xdt)
        state_groups.addcmul_(s.xdt_columns, s.B)
        # the state on the right: with it on the left a product of one column is six times slower
        torch.matmul(s.C, state_columns, out=s.y)
        s.y_heads.addcmul_(s.x_heads, D)
        s.y_row.mul_(F.silu(s.gate))
        s.y_groups.mul_(_inverse_rms(s.y_groups, norm.eps_tensor))
        return torch.addmm(x_SD, s.y_row.mul_(w.gated_norm), out_proj)

    return step


def _attention_step(w: AttentionWeights, cache) -> Step:
    norm, o_proj = _RowNorm(w.norm, w.eps), w.o_proj.t()
    project = _Projection([w.q_proj, w.k_proj, w.v_proj])

    def step(x_SD: Tensor) -> Tensor:
        S = x_SD.shape[0]
        _, parts = project(norm(x_SD))
        q, k, v = (part.view(S, -1, w.head_dim) for part in parts)
        keys, values = cache.append_one(k, v)
        out = decode_attention(q, keys, values, cache.lengths)
        return torch.addmm(x_SD, out.view(S, -1), o_proj)

    return step


def _mlp_step(w: MlpWeights) -> Step:
    norm = _RowNorm(w.norm, w.eps)
    up_proj, down_proj = w.up_proj.t(), w.down_proj.t()

    def step(x_SD: Tensor) -> Tensor:
        hidden = torch.mm(norm(x_SD), up_proj).relu_()
        return torch.addmm(x_SD, hidden.mul_(hidden), down_proj)

    return step


def _moe_step(w: MoeWeights) -> Step:
    norm, ups, downs = _RowNorm(w.norm, w.eps), w.up_proj.mT.unbind(), w.down_proj.mT.unbind()
    if w.fc1 is None or w.fc2 is None:
        project, add = _Projection([w.gate, w.shared_up]), _Sum([w.shared_down])
    else:
        project, add = _Projection([w.gate, w.fc1, w.shared_up]), _Sum([w.fc2, w.shared_down])

    def step(x_SD: Tensor) -> Tensor:
        h_SD = norm(x_SD)
        row, (logits, *latent, hidden) = project(h_SD)
        ids, weights = choose(logits, w.gate_bias, w.routing)
        hidden.relu_()
        hidden.mul_(hidden)
        if latent:
            # the result takes the place of the input, beside the shared expert's hidden row
            experts_in_place(latent[0], ups, downs, ids, weights, out_TL=latent[0])
            return add(x_SD, row[:, logits.shape[1] :], [*latent, hidden])
        x_SD = x_SD + experts_in_place(h_SD, ups, downs, ids, weights)
        return add(x_SD, hidden, [hidden])

    return step


class _Projection:
    """Products of one input with several weights `(out, D)`: one, if they are neighbours."""

    def __init__(self, weights: Sequence[Tensor]) -> None:
        together = joined(weights, dim=0)
        self.sizes = [weight.shape[0] for weight in weights]
        self.together = None if together is None else together.t()
        self.weights = [weight.t() for weight in weights]

    def __call__(self, x_SD: Tensor) -> tuple[Tensor, Sequence[Tensor]]:
        """All results side by side `(S, sum of out)`, and a view of each."""
        if self.together is not None:
            row = torch.mm(x_SD, self.together)
            return row, row.split(self.sizes, dim=1)
        row = x_SD.new_empty(x_SD.shape[0], sum(self.sizes))
        parts = row.split(self.sizes, dim=1)
        for weight, part in zip(self.weights, parts, strict=True):
            torch.mm(x_SD, weight, out=part)
        return row, parts


class _Sum:
    """The residual plus products of several inputs, each with its weight `(D, in)`."""

    def __init__(self, weights: Sequence[Tensor]) -> None:
        together = joined(weights, dim=1)
        self.together = None if together is None else together.t()
        self.weights = [weight.t() for weight in weights]

    def __call__(self, x_SD: Tensor, row: Tensor, parts: Sequence[Tensor]) -> Tensor:
        """`row` holds the inputs side by side, `parts` are its views."""
        if self.together is not None:
            return torch.addmm(x_SD, row, self.together)
        for weight, part in zip(self.weights, parts, strict=True):
            x_SD = torch.addmm(x_SD, part, weight)
        return x_SD
