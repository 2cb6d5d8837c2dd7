"""The MLP (letter `-` of the pattern), with a gate or without."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ops.decode_weights import MlpWeights
from ..ops.linear import Linear
from .norm import RMSNorm


class MLP(nn.Module):
    """`down(relu(up(x))^2)` ("relu2"), or `down(silu(gate(x)) * up(x))` ("swiglu")."""

    def __init__(
        self, hidden_size: int, intermediate_size: int, *, bias: bool = False, act: str = "relu2"
    ) -> None:
        super().__init__()
        gated = act == "swiglu"
        self.gate_proj = Linear(hidden_size, intermediate_size, bias=bias) if gated else None
        self.up_proj = Linear(hidden_size, intermediate_size, bias=bias)
        self.down_proj = Linear(intermediate_size, hidden_size, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        if self.gate_proj is not None:
            return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        hidden = torch.relu(self.up_proj(x))
        return self.down_proj(hidden * hidden)

    def weights_read_together(self) -> list[tuple[list[Tensor], int]]:
        """The large weights in the order a token meets them, as `ops.arena.lay_out` takes them."""
        inputs: list[Tensor] = [] if self.gate_proj is None else [self.gate_proj.weight]
        return [([*inputs, self.up_proj.weight], 0), ([self.down_proj.weight], 0)]

    def decode_weights(self, norm: RMSNorm) -> MlpWeights | None:
        """What a decode step needs of this layer; None if it has parts the step does not know."""
        if self.up_proj.bias is not None or self.gate_proj is not None:
            return None
        return MlpWeights(
            norm=norm.weight,
            eps=norm.eps,
            up_proj=self.up_proj.weight,
            down_proj=self.down_proj.weight,
        )
