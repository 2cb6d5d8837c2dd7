"""Grouped-query attention against softmax attention written down."""

import pytest
import torch

from latentvlm.vlm.ops.attention import (
    attention_reference,
    causal_attention,
    decode_attention,
    packed_attention,
)

SIZE = 8


def draw(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("heads", [(4, 4), (6, 2), (4, 1)], ids=str)
@pytest.mark.parametrize("lengths", [(1, 1), (1, 9), (7, 7), (5, 12)], ids=str)
def test_new_tokens_see_the_past_and_themselves(heads, lengths) -> None:
    (query_heads, groups), (new, total) = heads, lengths
    q = draw(new, query_heads, SIZE, seed=0)
    k, v = draw(total, groups, SIZE, seed=1), draw(total, groups, SIZE, seed=2)
    ours = causal_attention(q, k.transpose(0, 1), v.transpose(0, 1))
    torch.testing.assert_close(ours, attention_reference(q, k, v), rtol=1e-5, atol=1e-5)


def test_packed_rows_are_separate_sequences() -> None:
    bounds = [0, 5, 6, 17]
    q, k, v = draw(17, 6, SIZE, seed=0), draw(17, 2, SIZE, seed=1), draw(17, 2, SIZE, seed=2)
    parts = [
        attention_reference(q[a:b], k[a:b], v[a:b])
        for a, b in zip(bounds, bounds[1:], strict=False)
    ]
    torch.testing.assert_close(
        packed_attention(q, k, v, bounds), torch.cat(parts), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("lengths", [[6, 6], [1, 9, 4]], ids=str)
def test_decode_looks_at_each_length(lengths: list[int]) -> None:
    count, capacity = len(lengths), 12
    q = draw(count, 6, SIZE, seed=0)
    k, v = draw(count, 2, capacity, SIZE, seed=1), draw(count, 2, capacity, SIZE, seed=2)
    expected = [
        attention_reference(q[s : s + 1], k[s, :, :n].transpose(0, 1), v[s, :, :n].transpose(0, 1))
        for s, n in enumerate(lengths)
    ]
    for s, n in enumerate(lengths):  # what lies behind a sequence's end is never read
        k[s, :, n:], v[s, :, n:] = 1e4, 1e4
    torch.testing.assert_close(
        decode_attention(q, k, v, lengths), torch.cat(expected), rtol=1e-5, atol=1e-5
    )


def test_gradients() -> None:
    leaves = [
        draw(6, heads, 3, seed=s).double().requires_grad_() for s, heads in enumerate((4, 2, 2))
    ]
    torch.autograd.gradcheck(lambda q, k, v: packed_attention(q, k, v, [0, 2, 6]), leaves)
