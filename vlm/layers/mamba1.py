"""The Mamba-1 mixer of Jamba (letter `m` of the pattern), arXiv:2312.00752 and arXiv:2403.19887.

in_proj -> x | gate;  x -> causal convolution + SiLU -> x_proj -> dt | B | C, each with an RMSNorm
dt = softplus(dt_proj(dt));  scan;  y * silu(gate) -> out_proj
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import LanguageConfig
from ..mamba_cache import MambaCache
from ..ops.causal_conv import causal_conv, causal_conv_step
from ..ops.linear import Linear
from ..ops.selective_scan import selective_scan, selective_scan_step
from ..packed_row import PackedRow
from .mamba2 import DepthwiseConv, reset_dt_bias
from .norm import RMSNorm


class Mamba1Mixer(nn.Module):
    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        inner, rank, state = config.mamba_inner_size, config.mamba_dt_rank, config.ssm_state_size
        self.sizes = [rank, state, state]
        self.in_proj = Linear(config.hidden_size, 2 * inner, bias=config.use_bias)
        self.conv1d = DepthwiseConv(inner, config.conv_kernel, bias=config.use_conv_bias)
        self.x_proj = Linear(inner, sum(self.sizes), bias=False)
        self.dt_layernorm = RMSNorm(rank, eps=config.layer_norm_epsilon)
        self.b_layernorm = RMSNorm(state, eps=config.layer_norm_epsilon)
        self.c_layernorm = RMSNorm(state, eps=config.layer_norm_epsilon)
        self.dt_proj = Linear(rank, inner, bias=True)
        self.A_log = nn.Parameter(torch.arange(1, state + 1).float().log().repeat(inner, 1))
        self.D = nn.Parameter(torch.ones(inner))
        self.out_proj = Linear(inner, config.hidden_size, bias=config.use_bias)
        reset_dt_bias(self.dt_proj.bias, config)

    def forward(self, x_TD: Tensor, row: PackedRow, cache: MambaCache | None = None) -> Tensor:
        conv_in, gate = self.in_proj(x_TD).chunk(2, dim=-1)
        weight = self.conv1d.weight[:, 0]
        A, D = -torch.exp(self.A_log.float()), self.D.float()
        if cache is not None and row.is_decode:
            x = F.silu(causal_conv_step(conv_in, weight, self.conv1d.bias, cache.conv_rows))
            dt, B, C = self._maps(x)
            state = cache.wide_state()
            y = selective_scan_step(x, dt, A, B, C, D, state[:, :, 0])
            cache.keep_state(state, row.counts)
        else:
            conv_out, rows = causal_conv(
                conv_in,
                weight,
                self.conv1d.bias,
                cu_seqlens=row.cu_seqlens,
                initial_rows=None if cache is None else cache.conv_rows,
            )
            x = F.silu(conv_out)
            dt, B, C = self._maps(x)
            initial = None if cache is None else cache.wide_state()[:, :, 0]
            y, states = selective_scan(
                x, dt, A, B, C, D, cu_seqlens=row.cu_seqlens, initial_states=initial
            )
            if cache is not None and rows is not None:
                cache.conv_rows.copy_(rows)
                cache.keep_state(states.unsqueeze(2), row.counts)
        return self.out_proj(y * F.silu(gate))

    def _maps(self, x_TC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Step sizes `(T, C)` in float32 and the input and output maps `(T, N)`."""
        dt, B, C = self.x_proj(x_TC).split(self.sizes, dim=-1)
        dt = self.dt_proj.product(self.dt_layernorm(dt)).float()
        dt = F.softplus(dt + self.dt_proj.bias.float())
        return dt, self.b_layernorm(B), self.c_layernorm(C)

    def weights_read_together(self) -> list[tuple[list[Tensor], int]]:
        """The large weights in the order a token meets them, as `ops.arena.lay_out` takes them."""
        weights = [self.in_proj.weight, self.x_proj.weight, self.dt_proj.weight]
        return [([weight], 0) for weight in (*weights, self.out_proj.weight)]

    def decode_weights(self, norm: RMSNorm) -> None:
        """The decode step does not know this layer."""
        return None
