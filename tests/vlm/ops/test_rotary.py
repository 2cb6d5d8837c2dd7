"""Rotary embedding against turning complex numbers."""

import torch

from latentvlm.vlm.ops.rotary import rotary_tables, rotate


def test_pairs_are_turned_and_the_rest_stays() -> None:
    torch.manual_seed(0)
    positions, x = torch.tensor([0, 1, 7, 5000]), torch.randn(4, 2, 10, dtype=torch.float64)
    ours = rotate(x.float(), *rotary_tables(positions, dims=6, theta=500.0))
    numbers = torch.complex(x[..., :3], x[..., 3:6])
    angles = positions[:, None].double() * 500.0 ** -(torch.arange(3).double() / 3)
    turned = numbers * torch.polar(torch.ones_like(angles), angles)[:, None]
    expected = torch.cat([turned.real, turned.imag, x[..., 6:]], dim=-1)
    # float32 knows an angle of 5000 radians to some 3e-4
    torch.testing.assert_close(ours.double(), expected, atol=2e-3, rtol=0)
    torch.testing.assert_close(ours[:3].double(), expected[:3], atol=1e-5, rtol=0)
    assert torch.equal(ours[0], x[0].float()) and torch.equal(ours[..., 6:], x[..., 6:].float())
