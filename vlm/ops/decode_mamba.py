"""The decode step of a Mamba-2 layer.

Letters: S sequences, D hidden, H heads, P head size, G groups, R heads per group, N state size,
C channels of the convolution, K its kernel.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .decode_parts import InverseRms, Product, Stream
from .decode_weights import MambaWeights


class MambaScratch:
    """Buffers that all Mamba layers of a step write in turn, with the views they are read by."""

    def __init__(self, w: MambaWeights, num_seqs: int) -> None:
        channels, kernel = w.conv_weight.shape[0], w.conv_weight.shape[-1]
        heads, groups, N = w.A_log.shape[0], w.num_groups, w.state_size
        inner = channels - 2 * groups * N
        S, R, P = num_seqs, heads // groups, inner // heads

        def empty(*shape: int) -> Tensor:
            return torch.empty(*shape, device=w.A_log.device, dtype=w.A_log.dtype)

        # gate | convolution | dt; the convolution's output takes the place of its input, so that
        # one SiLU serves gate and output
        self.projected = empty(S, w.in_proj.shape[0])
        self.gate, conv, self.dt = self.projected.split([inner, channels, heads], dim=-1)
        self.conv_in, self.conv_out = conv[:, None], conv
        self.activated = self.projected[:, : inner + channels]
        self.window = empty(S, kernel, channels)
        self.window_tail = self.window[:, 1:]
        self.taps = self.window.unbind(1)
        x, B, C = conv.split([inner, groups * N, groups * N], dim=-1)
        self.x_heads = x.view(S, heads, P)
        self.B = B.view(S, groups, 1, N)
        self.C = C.view(S, groups, 1, N)
        self.decay = empty(S, heads)
        self.decay_column = self.decay.unsqueeze(-1)
        self.dt_column = empty(S, heads, 1)
        self.dt_row = self.dt_column.view(S, heads)
        self.xdt = empty(S, heads, P)
        self.xdt_columns = self.xdt.view(S, groups, R * P, 1)
        self.y = empty(S * groups, 1, R * P)
        self.y_heads, self.y_row = self.y.view(S, heads, P), self.y.view(S, inner)
        self.y_groups = self.y.view(S, groups, R * P)


def mamba_step(
    w: MambaWeights, cache, scratch: MambaScratch, stream: Stream
) -> Callable[[], object]:
    """A function that adds one token of each sequence through the layer to the stream."""
    s, x_SD, norm = scratch, stream.x, stream.norm(w.norm, w.eps)
    in_proj, out_proj = Product(w.in_proj), Product(w.out_proj)
    # what is added to the products: nothing but the bias of dt
    bias = torch.zeros_like(s.projected[0])
    bias[-w.dt_bias.shape[0] :] = w.dt_bias
    taps = w.conv_weight.flatten(1).t().contiguous().unbind()
    conv_bias = torch.zeros_like(taps[0]) if w.conv_bias is None else w.conv_bias
    inverse_rms = InverseRms(w.eps, w.norm)
    A, D = -torch.exp(w.A_log), w.D[:, None]
    S, groups = s.y_groups.shape[:2]
    state = cache.state.view(S, A.shape[0], -1)
    state_groups = cache.state.view(S, groups, -1, w.state_size)
    # the state on the right: with it on the left a product of one column is six times slower
    state_columns = state_groups.flatten(0, 1).mT

    def step() -> None:
        in_proj.put_sum(bias, norm(), s.projected)
        torch.cat([cache.conv_rows, s.conv_in], dim=1, out=s.window)
        cache.conv_rows.copy_(s.window_tail)
        y = torch.addcmul(conv_bias, s.taps[0], taps[0], out=s.conv_out)
        for row, tap in zip(s.taps[1:], taps[1:], strict=True):
            y.addcmul_(row, tap)
        F.silu(s.activated, inplace=True)
        dt = F.softplus(s.dt)
        if w.dt_limit is not None:
            dt = dt.clamp(*w.dt_limit)
        s.dt_row.copy_(dt)
        torch.mul(dt, A, out=s.decay).exp_()
        state.mul_(s.decay_column)
        torch.mul(s.x_heads, s.dt_column, out=s.xdt)
        state_groups.addcmul_(s.xdt_columns, s.B)
        torch.bmm(s.C.flatten(0, 1), state_columns, out=s.y)
        s.y_heads.addcmul_(s.x_heads, D)
        s.y_row.mul_(s.gate)
        s.y_groups.mul_(inverse_rms(s.y_groups))
        out_proj.add(s.y_row.mul_(w.gated_norm), x_SD)

    return step
