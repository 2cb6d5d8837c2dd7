"""Routed experts against the loop over tokens and experts."""

import pytest
import torch

from latentvlm.vlm.ops.experts import apply_experts, experts_reference

EXPERTS, WIDTH, INNER = 7, 6, 10


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def routing(tokens: int, picks: int) -> tuple[torch.Tensor, torch.Tensor]:
    scores = draw(tokens, EXPERTS, seed=3)
    ids = scores.topk(picks, dim=-1).indices
    return ids, scores.sigmoid().gather(1, ids)


@pytest.mark.parametrize("tokens", [1, 2, 8, 40])
@pytest.mark.parametrize("picks", [1, 3, EXPERTS])
@pytest.mark.parametrize("gated", [False, True], ids=["squared ReLU", "gated"])
def test_experts_are_the_loop(tokens: int, picks: int, gated: bool) -> None:
    z, up, down = draw(tokens, WIDTH), draw(EXPERTS, INNER, WIDTH), draw(EXPERTS, WIDTH, INNER)
    gate = draw(EXPERTS, INNER, WIDTH, seed=8) if gated else None
    ids, weights = routing(tokens, picks)
    expected = experts_reference(z, up, down, ids, weights, gate)
    small = None if gate is None else gate.float()
    with torch.no_grad():
        ours = apply_experts(z.float(), up.float(), down.float(), ids, weights.float(), small)
    torch.testing.assert_close(ours.double(), expected, rtol=1e-5, atol=1e-5)
    with_gradients = apply_experts(z, up, down, ids, weights, gate)
    torch.testing.assert_close(with_gradients, expected)


def test_all_tokens_to_one_expert() -> None:
    z, up, down = draw(9, WIDTH), draw(EXPERTS, INNER, WIDTH), draw(EXPERTS, WIDTH, INNER)
    ids = torch.full((9, 1), EXPERTS - 1)
    weights = torch.ones(9, 1)
    expected = experts_reference(z, up, down, ids, weights.double())
    ours = apply_experts(z.float(), up.float(), down.float(), ids, weights)
    torch.testing.assert_close(ours.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("tokens", [1, 5])
@pytest.mark.parametrize("gated", [False, True], ids=["squared ReLU", "gated"])
def test_gradients_reach_tokens_experts_and_weights(tokens: int, gated: bool) -> None:
    z, up, down = draw(tokens, WIDTH), draw(EXPERTS, INNER, WIDTH), draw(EXPERTS, WIDTH, INNER)
    gates = [draw(EXPERTS, INNER, WIDTH, seed=8)] if gated else []
    ids, weights = routing(tokens, 2)
    leaves = [t.requires_grad_() for t in (z, up, down, weights, *gates)]
    probe = draw(tokens, WIDTH, seed=5)
    expected = torch.autograd.grad(
        (experts_reference(z, up, down, ids, weights, *gates) * probe).sum(), leaves
    )
    single = [t.detach().float().requires_grad_() for t in leaves]
    out = apply_experts(single[0], single[1], single[2], ids, *single[3:])
    for mine, theirs in zip(
        torch.autograd.grad((out * probe.float()).sum(), single), expected, strict=True
    ):
        torch.testing.assert_close(mine.double(), theirs, rtol=1e-4, atol=1e-4)
