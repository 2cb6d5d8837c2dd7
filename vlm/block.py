"""A layer of the language model: norm, then the mixer that its letter names; and the draft block.

    x = x + mixer(norm(x))

Letters: T tokens, D hidden.
"""

import torch
from torch import Tensor, nn

from .config import LanguageConfig
from .layers.attention import AttentionMixer
from .layers.mamba1 import Mamba1Mixer
from .layers.mamba2 import Mamba2Mixer
from .layers.mlp import MLP
from .layers.moe import MoEMixer
from .layers.norm import RMSNorm
from .ops.decode_weights import LayerWeights
from .ops.linear import Linear
from .packed_row import PackedRow


class Block(nn.Module):
    """A pre-norm residual block around the mixer its letter names."""

    # the first and the last layer of a draft block alone have these
    enorm: RMSNorm
    hnorm: RMSNorm
    eh_proj: Linear
    final_layernorm: RMSNorm

    def __init__(self, config: LanguageConfig, letter: str) -> None:
        super().__init__()
        self.letter = letter
        self.residual = config.multipliers.residual
        self.norm = RMSNorm(config.hidden_size, eps=config.layer_norm_epsilon)
        if letter == "M":
            self.mixer = Mamba2Mixer(config)
        elif letter == "m":
            self.mixer = Mamba1Mixer(config)
        elif letter == "*":
            self.mixer = AttentionMixer(config)
        elif letter == "-":
            self.mixer = MLP(
                config.hidden_size,
                config.intermediate_size,
                bias=config.mlp_bias,
                act=config.mlp_hidden_act,
            )
        else:
            self.mixer = MoEMixer(config)

    def forward(self, x_TD: Tensor, row: PackedRow, cache=None) -> Tensor:
        h_TD = self.norm(x_TD)
        y_TD = self.mixer(h_TD, row, cache) if self.letter in "Mm*" else self.mixer(h_TD)
        return x_TD + (y_TD if self.residual == 1.0 else self.residual * y_TD)

    @property
    def device(self) -> torch.device:
        return self.norm.weight.device

    def decode_weights(self) -> LayerWeights | None:
        if self.residual != 1.0:
            return None
        return self.mixer.decode_weights(self.norm)


class MultiTokenPrediction(nn.Module):
    """One draft block, shared by all drafts, as Nemotron 3 Super and Ultra store it.

    The first inner layer also holds `enorm`, `hnorm` and `eh_proj`, the last one
    `final_layernorm`; embeddings and head are the trunk's.
    """

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        size, eps = config.hidden_size, config.layer_norm_epsilon
        self.layers = nn.ModuleList(Block(config, c) for c in config.mtp_hybrid_override_pattern)
        self.layers[0].enorm = RMSNorm(size, eps=eps)
        self.layers[0].hnorm = RMSNorm(size, eps=eps)
        self.layers[0].eh_proj = Linear(2 * size, size, bias=False)
        self.layers[-1].final_layernorm = RMSNorm(size, eps=eps)

    def forward(self, hidden_TD: Tensor, next_embeds_TD: Tensor, row: PackedRow) -> Tensor:
        first, last = self.layers[0], self.layers[-1]
        assert isinstance(first, Block) and isinstance(last, Block)
        joined = torch.cat([first.enorm(next_embeds_TD), first.hnorm(hidden_TD)], dim=-1)
        x_TD = first.eh_proj(joined)
        for layer in self.layers:
            x_TD = layer(x_TD, row)
        return last.final_layernorm(x_TD)
