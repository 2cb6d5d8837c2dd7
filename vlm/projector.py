"""From merged vision features to the language model's width: RMSNorm, linear, ReLU^2, linear."""

import torch
from torch import Tensor, nn

from .layers.norm import RMSNorm
from .ops.linear import Linear


class Projector(nn.Module):
    """`mlp1` of the released models; no biases, eps 1e-5."""

    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__()
        self.norm = RMSNorm(input_size, eps=1e-5)
        self.linear_1 = Linear(input_size, hidden_size, bias=False)
        self.linear_2 = Linear(hidden_size, output_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.linear_1(self.norm(x)))
        return self.linear_2(hidden * hidden)
