"""Matrix products, with bfloat16 weights widened where the CPU cannot multiply them.

A CPU without bfloat16 units runs bfloat16 products some fifty times slower than float32
ones, so there bfloat16 is a storage format only: weights are widened block by block as
they are used, and the product is float32.
"""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_BLOCK_ELEMENTS = 1 << 20


@cache
def cpu_multiplies_bfloat16() -> bool:
    """Whether this CPU has bfloat16 dot-product units."""
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(
        capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16")
    )


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x @ weight.T + bias` for x `(..., in)` and weight `(out, in)`; the result has x's dtype."""
    if weight.dtype != torch.bfloat16 or x.device.type != "cpu" or cpu_multiplies_bfloat16():
        return F.linear(x, weight, bias)
    rows = max(1, _BLOCK_ELEMENTS // weight.shape[1])
    wide = x.float()
    parts = [F.linear(wide, block.float()) for block in weight.split(rows)]
    out = torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]
    if bias is not None:
        out = out + bias.float()
    return out.to(x.dtype)


class Linear(nn.Linear):
    """`nn.Linear` through `linear`."""

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias)

    def product(self, input: Tensor) -> Tensor:
        """Without the bias."""
        return linear(input, self.weight)
