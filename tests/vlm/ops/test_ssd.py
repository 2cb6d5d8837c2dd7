"""The chunked scan against the recurrence written down."""

import math

import pytest
import torch
from torch import Tensor

from latentvlm.vlm.ops.ssd import ssd_reference, ssd_scan, ssd_step

HEADS, HEAD_DIM, GROUPS, STATE = 4, 6, 2, 5


def row(lengths: list[int], *, seed: int = 0) -> tuple[dict[str, Tensor], Tensor]:
    """Random float64 inputs of a packed row, and its boundaries."""
    draw = torch.Generator().manual_seed(seed)
    tokens = sum(lengths)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    inputs = {
        "x_THP": normal(tokens, HEADS, HEAD_DIM),
        "dt_TH": torch.nn.functional.softplus(normal(tokens, HEADS) - 2),
        "A_H": -torch.exp(normal(HEADS)),
        "B_TGN": normal(tokens, GROUPS, STATE),
        "C_TGN": normal(tokens, GROUPS, STATE),
        "D_H": normal(HEADS),
    }
    return inputs, torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()], dtype=torch.int32)


def states_of(count: int) -> Tensor:
    draw = torch.Generator().manual_seed(7)
    return torch.randn(count, HEADS, HEAD_DIM, STATE, generator=draw, dtype=torch.float64)


def single(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.float() for name, value in inputs.items()}


def error(ours: Tensor, theirs: Tensor) -> float:
    return float((ours.double() - theirs).abs().max() / theirs.abs().max())


LENGTHS = [[1], [15], [16], [17], [50], [33, 1, 16, 47, 2], [16, 16, 16], [1, 1, 1], [5, 60]]


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
@pytest.mark.parametrize("carried", [False, True], ids=["from zero", "from a state"])
def test_scan_is_the_recurrence(lengths: list[int], carried: bool) -> None:
    inputs, cu_seqlens = row(lengths)
    states = states_of(len(lengths)) if carried else None
    y, final = ssd_reference(**inputs, cu_seqlens=cu_seqlens, initial_states=states)

    ours, ours_final = ssd_scan(
        **single(inputs),
        cu_seqlens=cu_seqlens,
        initial_states=None if states is None else states.float(),
        return_final_states=True,
        chunk_size=16,
    )
    assert ours_final is not None and ours_final.dtype == torch.float32
    assert error(ours, y) < 3e-6
    assert error(ours_final, final) < 3e-6
    if not carried:
        alone, none = ssd_scan(**single(inputs), cu_seqlens=cu_seqlens, chunk_size=16)
        assert none is None
        assert error(alone, y) < 3e-6


@pytest.mark.parametrize("chunk_size", [1, 7, 64, 256])
def test_chunk_size_changes_nothing(chunk_size: int) -> None:
    inputs, cu_seqlens = row([61, 90])
    y, _ = ssd_reference(**inputs, cu_seqlens=cu_seqlens)
    ours, _ = ssd_scan(**single(inputs), cu_seqlens=cu_seqlens, chunk_size=chunk_size)
    assert error(ours, y) < 3e-6


def test_default_chunks_agree_around_their_borders() -> None:
    for tokens in (127, 128, 129, 257):
        inputs, cu_seqlens = row([tokens])
        y, _ = ssd_reference(**inputs, cu_seqlens=cu_seqlens)
        ours, _ = ssd_scan(**single(inputs), cu_seqlens=cu_seqlens)
        assert error(ours, y) < 3e-6


def test_bfloat16_inputs_keep_a_float32_state() -> None:
    inputs, cu_seqlens = row([70, 30])
    small = {
        name: value.bfloat16() if name in ("x_THP", "B_TGN", "C_TGN") else value.float()
        for name, value in inputs.items()
    }
    y, final = ssd_reference(
        **{name: value.double() for name, value in small.items()}, cu_seqlens=cu_seqlens
    )
    ours, ours_final = ssd_scan(
        **small, cu_seqlens=cu_seqlens, return_final_states=True, chunk_size=32
    )
    assert ours.dtype == torch.bfloat16 and ours_final is not None
    assert error(ours, y) < 2**-8  # the output's own rounding
    assert error(ours_final, final) < 3e-6  # nothing but the inputs was rounded


@pytest.mark.parametrize("lengths", [[37], [20, 1, 29]], ids=str)
@pytest.mark.parametrize("carried", [False, True], ids=["from zero", "from a state"])
def test_gradients_are_the_recurrences(lengths: list[int], carried: bool) -> None:
    inputs, cu_seqlens = row(lengths)
    if carried:
        inputs["initial_states"] = states_of(len(lengths))
    draw = torch.Generator().manual_seed(1)
    weight = torch.randn(inputs["x_THP"].shape, generator=draw, dtype=torch.float64)
    final_weight = torch.randn(states_of(len(lengths)).shape, generator=draw, dtype=torch.float64)

    def gradients(compute, dtype: torch.dtype, **more) -> list[Tensor]:
        leaves = {n: v.to(dtype).clone().requires_grad_() for n, v in inputs.items()}
        y, final = compute(**leaves, cu_seqlens=cu_seqlens, **more)
        loss = (y * weight.to(dtype)).sum()
        if carried:
            loss = loss + (final * final_weight.to(dtype)).sum()
        return list(torch.autograd.grad(loss, list(leaves.values())))

    more = {"chunk_size": 16, "return_final_states": carried}
    ours = gradients(ssd_scan, torch.float32, **more)
    for name, mine, theirs in zip(
        inputs, ours, gradients(ssd_reference, torch.float64), strict=True
    ):
        assert error(mine, theirs) < 1e-5, name


@pytest.mark.parametrize("dt", [0.0, 1e-9, 50.0, 1e4])
def test_extreme_steps_stay_finite_and_right(dt: float) -> None:
    inputs, cu_seqlens = row([40, 25])
    inputs["dt_TH"] = torch.full_like(inputs["dt_TH"], dt)
    inputs["dt_TH"][::3] = 0.01  # steps that forget everything beside steps that forget little
    inputs["A_H"] = torch.tensor([-1e-4, -1.0, -16.0, -128.0], dtype=torch.float64)
    leaves = {n: v.float().requires_grad_() for n, v in inputs.items()}
    y, _ = ssd_scan(**leaves, cu_seqlens=cu_seqlens, chunk_size=16)
    expected, _ = ssd_reference(**inputs, cu_seqlens=cu_seqlens)
    assert error(y.detach(), expected) < 1e-4
    for name, gradient in zip(
        leaves, torch.autograd.grad(y.sum(), list(leaves.values())), strict=True
    ):
        assert gradient.isfinite().all(), name


def test_memory_is_linear_in_length() -> None:
    def saved_bytes(tokens: int) -> int:
        inputs, cu_seqlens = row([tokens])
        leaves = {n: v.float().requires_grad_() for n, v in inputs.items()}
        sizes: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            y, _ = ssd_scan(**leaves, cu_seqlens=cu_seqlens, chunk_size=16)
        assert y.requires_grad
        return sum(sizes.values())

    assert saved_bytes(1024) < 4.2 * saved_bytes(256)


def test_steps_continue_a_scan() -> None:
    inputs, cu_seqlens = row([30])
    x, dt, A, B, C, D = single(inputs).values()
    y, final = ssd_reference(**inputs, cu_seqlens=cu_seqlens)
    head = torch.tensor([0, 20], dtype=torch.int32)
    _, state = ssd_scan(
        x[:20], dt[:20], A, B[:20], C[:20], D, cu_seqlens=head, return_final_states=True
    )
    assert state is not None
    for t in range(20, 30):
        at = slice(t, t + 1)
        assert error(ssd_step(x[at], dt[at], A, B[at], C[at], D, state), y[at]) < 1e-5
    assert error(state, final) < 1e-5


def test_a_sequence_never_sees_its_neighbours() -> None:
    inputs, cu_seqlens = row([20, 31, 14])
    before, _ = ssd_scan(**single(inputs), cu_seqlens=cu_seqlens, chunk_size=16)
    inputs["x_THP"][20:51] = math.pi
    inputs["B_TGN"][20:51] *= 3
    after, _ = ssd_scan(**single(inputs), cu_seqlens=cu_seqlens, chunk_size=16)
    assert torch.equal(before[:20], after[:20]) and torch.equal(before[51:], after[51:])
    assert not torch.equal(before[20:51], after[20:51])
