"""Causal grouped-query attention (letter `*` of the pattern), with rotary positions or none."""

import torch
from torch import Tensor, nn

from ..cache import AttentionCache
from ..config import LanguageConfig
from ..ops.attention import causal_attention, decode_attention, packed_attention
from ..ops.decode_weights import AttentionWeights
from ..ops.linear import Linear
from ..ops.rotary import rotary_tables, rotate
from ..packed_row import PackedRow
from .norm import RMSNorm

# Numbers of attention rows that are held at once where it is told what was looked at: 64 MB.
LOOK_NUMBERS = 2**24


class AttentionMixer(nn.Module):
    """Scale `head_dim ** -0.5` unless the configuration has another; no query/key norm.

    Attributes:
        k_scale, v_scale: what an FP8 cache divides keys and values by, as the checkpoint says.
        scale_names: what the checkpoint calls those that it has: "k" to "k_proj.k_scale".
    """

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        self.rotary = config.rotary
        scale = config.multipliers.attention
        # the scores are scaled by head_dim ** -0.5 anyway, so the queries get what is left
        self.query_factor = None if scale is None else scale * config.head_dim**0.5
        q_size = config.num_attention_heads * config.head_dim
        kv_size = config.num_key_value_heads * config.head_dim
        bias = config.attention_bias
        self.q_proj = Linear(config.hidden_size, q_size, bias=bias)
        self.k_proj = Linear(config.hidden_size, kv_size, bias=bias)
        self.v_proj = Linear(config.hidden_size, kv_size, bias=bias)
        self.o_proj = Linear(q_size, config.hidden_size, bias=bias)
        self.k_scale = self.v_scale = 1.0
        self.scale_names: dict[str, str] = {}

    def forward(self, x_TD: Tensor, row: PackedRow, cache: AttentionCache | None = None) -> Tensor:
        T = x_TD.shape[0]
        before = [0] * len(row.spans) if cache is None else cache.lengths
        q, k = self._queries_and_keys(x_TD, row, before)
        v = self.v_proj(x_TD).view(T, -1, self.head_dim)
        if cache is None:
            out = packed_attention(q, k, v, row.bounds)
        elif row.is_decode:
            keys, values = cache.append_one(k, v)
            out = decode_attention(q, keys, values, cache.lengths)
        else:
            parts = []
            for s, (start, stop) in enumerate(row.spans):
                keys, values = cache.append(s, k[start:stop], v[start:stop])
                parts.append(causal_attention(q[start:stop], keys, values))
            out = row.join(parts)
        return self.o_proj(out.reshape(T, -1))

    def attention_sums(self, x_TD: Tensor, cache: AttentionCache, *, first: int = 0) -> Tensor:
        """How much the newest T tokens of a cache's one sequence look at each, summed over them.

        The rows are computed in blocks, and only their sum is kept.

        Args:
            x_TD: the input with which they were added to the cache.
            first: the first of the T that counts.

        Returns:
            Float32 `(heads, all)`; each head's sum is the number of tokens that count.
        """
        T, length = x_TD.shape[0], cache.lengths[0]
        q_THE, k_TGE = self._queries_and_keys(x_TD, PackedRow.of(x_TD, None), [length - T])
        heads, groups = q_THE.shape[1], k_TGE.shape[1]
        q_GRTE = q_THE.view(T, groups, heads // groups, -1).permute(1, 2, 0, 3).float()
        keys_GKE = cache.filled_keys(0, k_TGE.dtype)
        places = torch.arange(length, device=x_TD.device)
        size = max(1, LOOK_NUMBERS // (heads * length))
        sums_HK = x_TD.new_zeros(heads, length, dtype=torch.float32)
        for start in range(first, T, size):
            stop = min(start + size, T)
            later_QK = places > places[length - T + start : length - T + stop, None]
            for group, keys_KE in enumerate(keys_GKE):
                scores = q_GRTE[group, :, start:stop] @ keys_KE.float().mT * self.head_dim**-0.5
                rows_RQK = scores.masked_fill_(later_QK, -torch.inf).softmax(-1)
                sums_HK.view(groups, -1, length)[group] += rows_RQK.sum(1)
        return sums_HK

    def _queries_and_keys(
        self, x_TD: Tensor, row: PackedRow, before: list[int]
    ) -> tuple[Tensor, Tensor]:
        """Queries `(T, H, E)` and keys `(T, G, E)`; `before` counts what each sequence had."""
        T = x_TD.shape[0]
        q = self.q_proj(x_TD).view(T, -1, self.head_dim)
        k = self.k_proj(x_TD).view(T, -1, self.head_dim)
        if self.query_factor is not None:
            q = q * self.query_factor
        if self.rotary is not None:
            counts = [
                torch.arange(length, length + stop - start, device=q.device)
                for length, (start, stop) in zip(before, row.spans, strict=True)
            ]
            tables = rotary_tables(row.join(counts), dims=self.rotary.dims, theta=self.rotary.theta)
            q, k = rotate(q, *tables), rotate(k, *tables)
        return q, k

    def weights_read_together(self) -> list[tuple[list[Tensor], int]]:
        """The large weights in the order a token meets them, as `ops.arena.lay_out` takes them."""
        inputs = [self.q_proj.weight, self.k_proj.weight, self.v_proj.weight]
        return [(inputs, 0), ([self.o_proj.weight], 0)]

    def decode_weights(self, norm: RMSNorm) -> AttentionWeights | None:
        """What a decode step needs of this layer; None if it has parts the step does not know."""
        plain = self.rotary is None and self.query_factor is None
        if self.q_proj.bias is not None or not plain:
            return None
        return AttentionWeights(
            norm=norm.weight,
            eps=norm.eps,
            q_proj=self.q_proj.weight,
            k_proj=self.k_proj.weight,
            v_proj=self.v_proj.weight,
            o_proj=self.o_proj.weight,
            head_dim=self.head_dim,
        )
