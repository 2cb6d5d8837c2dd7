"""The scan in blocks against the Mamba-1 recurrence written down."""

import math

import pytest
import torch
from torch import Tensor

from latentvlm.vlm.ops import selective_scan as module
from latentvlm.vlm.ops.selective_scan import (
    selective_scan,
    selective_scan_reference,
    selective_scan_step,
)

CHANNELS, STATE = 6, 5


def row(
    lengths: list[int], *, seed: int = 0, channels: int = CHANNELS, state: int = STATE
) -> tuple[dict[str, Tensor], Tensor]:
    """Random float64 inputs of a packed row, and its boundaries."""
    draw = torch.Generator().manual_seed(seed)
    tokens = sum(lengths)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    inputs = {
        "x_TC": normal(tokens, channels),
        "dt_TC": torch.nn.functional.softplus(normal(tokens, channels) - 2),
        "A_CN": -torch.exp(normal(channels, state)),
        "B_TN": normal(tokens, state),
        "C_TN": normal(tokens, state),
        "D_C": normal(channels),
    }
    return inputs, torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()], dtype=torch.int32)


def states_of(count: int) -> Tensor:
    draw = torch.Generator().manual_seed(7)
    return torch.randn(count, CHANNELS, STATE, generator=draw, dtype=torch.float64)


def single(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.float() for name, value in inputs.items()}


def error(ours: Tensor, theirs: Tensor) -> float:
    return float((ours.double() - theirs).abs().max() / theirs.abs().max())


@pytest.mark.parametrize(
    "lengths", [[1], [15], [16], [17], [50], [33, 1, 16, 47, 2], [1, 1, 1]], ids=str
)
@pytest.mark.parametrize("carried", [False, True], ids=["from zero", "from a state"])
def test_scan_is_the_recurrence(lengths: list[int], carried: bool) -> None:
    inputs, cu_seqlens = row(lengths)
    states = states_of(len(lengths)) if carried else None
    y, final = selective_scan_reference(**inputs, cu_seqlens=cu_seqlens, initial_states=states)
    for block_size in (16, None):
        ours, ours_final = selective_scan(
            **single(inputs),
            cu_seqlens=cu_seqlens,
            initial_states=None if states is None else states.float(),
            block_size=block_size,
        )
        assert ours_final.dtype == torch.float32
        assert error(ours, y) < 3e-6
        assert error(ours_final, final) < 3e-6


@pytest.mark.parametrize("lengths", [[37], [20, 1, 29]], ids=str)
@pytest.mark.parametrize("carried", [False, True], ids=["from zero", "from a state"])
def test_gradients_are_the_recurrences(lengths: list[int], carried: bool) -> None:
    inputs, cu_seqlens = row(lengths)
    if carried:
        inputs["initial_states"] = states_of(len(lengths))
    draw = torch.Generator().manual_seed(1)
    weight = torch.randn(inputs["x_TC"].shape, generator=draw, dtype=torch.float64)
    final_weight = torch.randn(states_of(len(lengths)).shape, generator=draw, dtype=torch.float64)

    def gradients(compute, dtype: torch.dtype, **more) -> list[Tensor]:
        leaves = {n: v.to(dtype).clone().requires_grad_() for n, v in inputs.items()}
        y, final = compute(**leaves, cu_seqlens=cu_seqlens, **more)
        loss = (y * weight.to(dtype)).sum() + (final * final_weight.to(dtype)).sum()
        return list(torch.autograd.grad(loss, list(leaves.values())))

    ours = gradients(selective_scan, torch.float32, block_size=16)
    theirs = gradients(selective_scan_reference, torch.float64)
    for name, mine, expected in zip(inputs, ours, theirs, strict=True):
        assert error(mine, expected) < 1e-5, name


def test_bfloat16_inputs_keep_a_float32_state() -> None:
    inputs, cu_seqlens = row([70, 30])
    small = {
        name: value.bfloat16() if name in ("x_TC", "B_TN", "C_TN") else value.float()
        for name, value in inputs.items()
    }
    wide = {name: value.double() for name, value in small.items()}
    y, final = selective_scan_reference(**wide, cu_seqlens=cu_seqlens)
    ours, ours_final = selective_scan(**small, cu_seqlens=cu_seqlens, block_size=32)
    assert ours.dtype == torch.bfloat16
    assert error(ours, y) < 2**-8  # the output's own rounding
    assert error(ours_final, final) < 3e-6  # nothing but the inputs was rounded


@pytest.mark.parametrize("dt", [0.0, 1e-9, 50.0, 1e4])
def test_extreme_steps_stay_finite_and_right(dt: float) -> None:
    inputs, cu_seqlens = row([40, 25])
    inputs["dt_TC"] = torch.full_like(inputs["dt_TC"], dt)
    inputs["dt_TC"][::3] = 0.01  # steps that forget everything beside steps that forget little
    inputs["A_CN"] *= torch.tensor([1e-4, 1.0, 4.0, 16.0, 64.0, 256.0])[:, None]
    leaves = {n: v.float().requires_grad_() for n, v in inputs.items()}
    y, _ = selective_scan(**leaves, cu_seqlens=cu_seqlens, block_size=16)
    expected, _ = selective_scan_reference(**inputs, cu_seqlens=cu_seqlens)
    assert error(y.detach(), expected) < 1e-4
    for name, gradient in zip(
        leaves, torch.autograd.grad(y.sum(), list(leaves.values())), strict=True
    ):
        assert gradient.isfinite().all(), name


def test_memory_does_not_hold_the_states_of_all_tokens(monkeypatch) -> None:
    """What is kept for the backward pass, and what is made and dropped again block by block."""
    channels, state = 24, 64
    made: list[int] = []
    real = module._block_states
    monkeypatch.setattr(
        module,
        "_block_states",
        lambda *block: made.append(real(*block)[1].numel()) or real(*block),
    )

    def saved_values(compute, tokens: int) -> int:
        inputs, cu_seqlens = row([tokens], channels=channels, state=state)
        leaves = {n: v.float().requires_grad_() for n, v in inputs.items()}
        sizes: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes() // 4
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            y, _ = compute(**leaves, cu_seqlens=cu_seqlens)
        y.sum().backward()
        return sum(sizes.values())

    more = saved_values(selective_scan, 1024) - saved_values(selective_scan, 512)
    assert more < 512 * channels * 12
    assert len(made) == 2 * (8 + 16) and max(made) == 64 * channels * state
    assert saved_values(selective_scan_reference, 64) > 64 * channels * state


def test_steps_continue_a_scan() -> None:
    inputs, cu_seqlens = row([30])
    x, dt, A, B, C, D = single(inputs).values()
    y, final = selective_scan_reference(**inputs, cu_seqlens=cu_seqlens)
    head = torch.tensor([0, 20], dtype=torch.int32)
    _, state = selective_scan(x[:20], dt[:20], A, B[:20], C[:20], D, cu_seqlens=head)
    for t in range(20, 30):
        at = slice(t, t + 1)
        ours = selective_scan_step(x[at], dt[at], A, B[at], C[at], D, state)
        assert error(ours, y[at]) < 1e-5
    assert error(state, final) < 1e-5


def test_a_sequence_never_sees_its_neighbours() -> None:
    inputs, cu_seqlens = row([20, 31, 14])
    before, _ = selective_scan(**single(inputs), cu_seqlens=cu_seqlens, block_size=16)
    inputs["x_TC"][20:51] = math.nan
    after, _ = selective_scan(**single(inputs), cu_seqlens=cu_seqlens, block_size=16)
    assert torch.equal(before[:20], after[:20]) and torch.equal(before[51:], after[51:])
    assert after[20:51].isnan().all()
