"""The squared-ReLU MLP: `down(relu(up(x))^2)`, no gate (letter `-` of the pattern)."""

import torch
from torch import Tensor, nn

from ..ops.linear import Linear


class MLP(nn.Module):
    def __init__(self, hidden_size: int, intermediate_size: int, *, bias: bool = False) -> None:
        super().__init__()
        self.up_proj = Linear(hidden_size, intermediate_size, bias=bias)
        self.down_proj = Linear(intermediate_size, hidden_size, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.up_proj(x))
        return self.down_proj(hidden * hidden)
