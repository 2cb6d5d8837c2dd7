"""The depthwise causal convolution against its definition."""

import pytest
import torch

from latentvlm.vlm.ops.causal_conv import causal_conv, causal_conv_reference, causal_conv_step

KERNEL, CHANNELS = 4, 6


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def boundaries(lengths: list[int]) -> torch.Tensor:
    return torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()], dtype=torch.int32)


@pytest.mark.parametrize("lengths", [[1], [2], [9], [1, 5, 2, 3], [4, 4]], ids=str)
@pytest.mark.parametrize("with_bias", [True, False])
def test_convolution_is_its_definition(lengths: list[int], with_bias: bool) -> None:
    x, weight = draw(sum(lengths), CHANNELS), draw(CHANNELS, KERNEL, seed=1)
    bias = draw(CHANNELS, seed=2) if with_bias else None
    cu_seqlens = boundaries(lengths)
    y, rows = causal_conv(x, weight, bias, cu_seqlens=cu_seqlens)
    assert rows is None
    torch.testing.assert_close(y, causal_conv_reference(x, weight, bias, cu_seqlens=cu_seqlens))


@pytest.mark.parametrize("lengths", [[1], [7], [1, 5, 2]], ids=str)
def test_rows_carry_a_sequence_on(lengths: list[int]) -> None:
    """Two calls with the rows handed over equal one call, and steps equal both."""
    weight, bias = draw(CHANNELS, KERNEL, seed=1), draw(CHANNELS, seed=2)
    first = [draw(5, CHANNELS, seed=10 + i) for i in range(len(lengths))]
    second = [draw(n, CHANNELS, seed=20 + i) for i, n in enumerate(lengths)]
    whole = [torch.cat(parts) for parts in zip(first, second, strict=True)]
    expected = [
        causal_conv_reference(s, weight, bias, cu_seqlens=boundaries([len(s)])) for s in whole
    ]

    nothing = torch.zeros(len(lengths), KERNEL - 1, CHANNELS, dtype=torch.float64)
    _, rows = causal_conv(
        torch.cat(first),
        weight,
        bias,
        cu_seqlens=boundaries([5] * len(lengths)),
        initial_rows=nothing,
    )
    assert rows is not None
    y, last = causal_conv(
        torch.cat(second), weight, bias, cu_seqlens=boundaries(lengths), initial_rows=rows
    )
    torch.testing.assert_close(y, torch.cat([s[5:] for s in expected]))
    assert last is not None
    torch.testing.assert_close(last, torch.stack([s[-KERNEL + 1 :] for s in whole]))

    stepped = rows.clone()
    y = causal_conv_step(torch.stack([s[0] for s in second]), weight, bias, stepped)
    torch.testing.assert_close(y, torch.stack([s[5] for s in expected]))
    torch.testing.assert_close(stepped, torch.stack([s[6 - KERNEL + 1 : 6] for s in whole]))


def test_gradients() -> None:
    x, weight, bias = draw(9, 3), draw(3, KERNEL, seed=1), draw(3, seed=2)
    cu_seqlens = boundaries([4, 1, 4])

    def convolve(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return causal_conv(x, weight, bias, cu_seqlens=cu_seqlens)[0]

    leaves = [t.requires_grad_() for t in (x, weight, bias)]
    assert torch.autograd.gradcheck(convolve, leaves)
