"""bfloat16 weights are storage on a CPU that cannot multiply them."""

import pytest
import torch
import torch.nn.functional as F

from latentvlm.vlm.ops import linear as module
from latentvlm.vlm.ops.linear import linear


@pytest.fixture
def no_bfloat16_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "cpu_multiplies_bfloat16", lambda: False)
    monkeypatch.setattr(module, "_BLOCK_ELEMENTS", 64)  # several blocks in a small product


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.usefixtures("no_bfloat16_units")
def test_bfloat16_weights_are_widened(dtype: torch.dtype, with_bias: bool) -> None:
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(3, 16, generator=draw).to(dtype)
    weight = torch.randn(21, 16, generator=draw).bfloat16()
    bias = torch.randn(21, generator=draw).bfloat16() if with_bias else None
    out = linear(x, weight, bias)
    expected = F.linear(x.float(), weight.float(), None if bias is None else bias.float())
    assert out.dtype == dtype
    torch.testing.assert_close(out, expected.to(dtype))


@pytest.mark.usefixtures("no_bfloat16_units")
def test_float32_weights_are_left_alone() -> None:
    x, weight = torch.ones(2, 4), torch.ones(3, 4)
    assert torch.equal(linear(x, weight), torch.full((2, 3), 4.0))
