"""Rounding by chance: right on average, and never further than a neighbour."""

import pytest
import torch

from latentvlm.errors import InputError
from latentvlm.vlm.quantize.stochastic import round_to_half, round_to_int8, widen_int8


def test_half_goes_to_a_neighbour_with_the_right_chance() -> None:
    draw = torch.Generator().manual_seed(0)
    value = 1 + 0.3 * 2**-10
    found = round_to_half(torch.full((40_000,), value), draw).float()
    assert {*found.tolist()} == {1.0, 1 + 2**-10}
    assert float((found > 1).float().mean()) == pytest.approx(0.3, abs=0.01)
    exact = torch.tensor([0.0, -0.0, 1.0, -2.5, 65504.0, 2**-24, -(2**-24)])
    assert torch.equal(round_to_half(exact, draw).float(), exact)
    assert round_to_half(torch.tensor([1e6, -1e6]), draw).tolist() == [65504.0, -65504.0]
    random = torch.randn(1000, generator=draw) * 10.0 ** torch.randint(
        -8, 4, (1000,), generator=draw
    )
    nearest, drawn = round_to_half(random), round_to_half(random, draw)
    assert torch.equal(nearest, random.half())
    step = torch.nextafter(nearest.abs(), torch.tensor(torch.inf).half()).float()
    assert bool(((drawn.float() - random).abs() <= step - nearest.abs().float() + 1e-12).all())


def test_int8_is_right_on_average() -> None:
    draw = torch.Generator().manual_seed(0)
    values = torch.randn(3, 200, generator=draw)
    values[1, :128] = 0
    total = torch.zeros_like(values)
    for _ in range(400):
        codes, scale = round_to_int8(values, draw)
        assert scale.shape == (3, 2) and codes.shape == values.shape
        total += widen_int8(codes, scale)
    step = float(scale.max())
    assert float((total / 400 - values).abs().max()) < 0.15 * step
    assert not widen_int8(*round_to_int8(values, draw))[1, :128].any()
    near = widen_int8(*round_to_int8(values))
    assert bool(((near - values).abs() <= 0.5001 * step).all())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused(bad: float) -> None:
    for each in (round_to_half, round_to_int8):
        with pytest.raises(InputError, match="NaN or infinity"):
            each(torch.tensor([1.0, bad]))
