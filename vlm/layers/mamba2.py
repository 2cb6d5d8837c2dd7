"""The Mamba-2 mixer (letter `M` of the pattern), arXiv:2405.21060.

in_proj -> gate | value, B, C -> causal convolution + SiLU -> scan -> gated norm -> out_proj

`dt = softplus(dt + dt_bias)`, limited only by the config's `time_step_limit`.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import LanguageConfig
from ..mamba_cache import MambaCache
from ..ops.causal_conv import causal_conv, causal_conv_step
from ..ops.decode_weights import MambaWeights
from ..ops.linear import Linear
from ..ops.ssd import ssd_scan, ssd_step
from ..packed_row import PackedRow
from .norm import GatedGroupRMSNorm, RMSNorm


class DepthwiseConv(nn.Module):
    """Holds the convolution's weight `(channels, 1, kernel)` and bias under their disk names."""

    def __init__(self, channels: int, kernel: int, *, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 1, kernel))
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None
        nn.init.uniform_(self.weight, -(kernel**-0.5), kernel**-0.5)


@torch.no_grad()
def reset_dt_bias(bias: Tensor, config: LanguageConfig) -> None:
    """Inverse softplus of steps drawn log-uniformly from [time_step_min, time_step_max]."""
    low, high = math.log(max(config.time_step_min, 1e-3)), math.log(config.time_step_max)
    dt = torch.exp(torch.rand(bias.shape) * (high - low) + low).clamp_min(config.time_step_floor)
    bias.copy_(dt + torch.log(-torch.expm1(-dt)))


class Mamba2Mixer(nn.Module):
    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.num_heads = config.mamba_num_heads
        self.head_dim = config.mamba_head_dim
        self.num_groups = config.n_groups
        self.state_size = config.ssm_state_size
        inner, conv = config.mamba_inner_size, config.mamba_conv_size
        self.sizes = [inner, conv, self.num_heads]
        self.conv_sizes = [
            inner,
            self.num_groups * self.state_size,
            self.num_groups * self.state_size,
        ]
        low, high = config.time_step_limit
        self.dt_limit = None if low <= 0.0 and high == math.inf else (low, high)

        self.in_proj = Linear(config.hidden_size, sum(self.sizes), bias=config.use_bias)
        self.conv1d = DepthwiseConv(conv, config.conv_kernel, bias=config.use_conv_bias)
        self.dt_bias = nn.Parameter(torch.empty(self.num_heads))
        self.A_log = nn.Parameter(torch.log(torch.arange(1, self.num_heads + 1).float()))
        self.D = nn.Parameter(torch.ones(self.num_heads))
        self.norm = GatedGroupRMSNorm(
            inner, num_groups=self.num_groups, eps=config.layer_norm_epsilon
        )
        self.out_proj = Linear(inner, config.hidden_size, bias=config.use_bias)
        reset_dt_bias(self.dt_bias, config)

    def forward(self, x_TD: Tensor, row: PackedRow, cache: MambaCache | None = None) -> Tensor:
        gate, conv_in, dt = self.in_proj(x_TD).split(self.sizes, dim=-1)
        dt = F.softplus(dt.float() + self.dt_bias.float())
        if self.dt_limit is not None:
            dt = dt.clamp(*self.dt_limit)
        weight = self.conv1d.weight[:, 0]
        A = -torch.exp(self.A_log.float())
        D = self.D.float()
        if cache is not None and row.is_decode:
            x, B, C = self._split(
                F.silu(causal_conv_step(conv_in, weight, self.conv1d.bias, cache.conv_rows))
            )
            state = cache.wide_state()
            y = ssd_step(x, dt, A, B, C, D, state)
            cache.keep_state(state, row.counts)
        else:
            conv_out, rows = causal_conv(
                conv_in,
                weight,
                self.conv1d.bias,
                cu_seqlens=row.cu_seqlens,
                initial_rows=None if cache is None else cache.conv_rows,
            )
            x, B, C = self._split(F.silu(conv_out))
            y, states = ssd_scan(
                x,
                dt,
                A,
                B,
                C,
                D,
                cu_seqlens=row.cu_seqlens,
                initial_states=None if cache is None else cache.wide_state(),
                return_final_states=cache is not None,
            )
            if cache is not None and rows is not None and states is not None:
                cache.conv_rows.copy_(rows)
                cache.keep_state(states, row.counts)
        return self.out_proj(self.norm(y.flatten(-2), gate))

    def _split(self, conv_out: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, B, C = conv_out.split(self.conv_sizes, dim=-1)
        return (
            x.unflatten(-1, (self.num_heads, self.head_dim)),
            B.unflatten(-1, (self.num_groups, self.state_size)),
            C.unflatten(-1, (self.num_groups, self.state_size)),
        )

    def weights_read_together(self) -> list[tuple[list[Tensor], int]]:
        """The large weights in the order a token meets them, as `ops.arena.lay_out` takes them."""
        return [([self.in_proj.weight], 0), ([self.out_proj.weight], 0)]

    def decode_weights(self, norm: RMSNorm) -> MambaWeights | None:
        """What a decode step needs of this layer; None if it has parts the step does not know."""
        if self.in_proj.bias is not None or norm.eps != self.norm.eps:
            return None
        return MambaWeights(
            norm=norm.weight,
            eps=norm.eps,
            in_proj=self.in_proj.weight,
            conv_weight=self.conv1d.weight,
            conv_bias=self.conv1d.bias,
            dt_bias=self.dt_bias,
            dt_limit=self.dt_limit,
            A_log=self.A_log,
            D=self.D,
            gated_norm=self.norm.weight,
            out_proj=self.out_proj.weight,
            num_groups=self.num_groups,
            state_size=self.state_size,
        )
