"""Quantizing some rows at a time gives what quantizing all at once gives, bit for bit."""

import pytest
import torch

from latentvlm.vlm.export import layouts
from latentvlm.vlm.export.layouts import LAYOUTS, encode, encode_in_slices
from latentvlm.vlm.quantize.weight_formats import FORMATS


@pytest.mark.parametrize("name", [name for name, form in FORMATS.items() if form])
def test_slices_are_the_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    form = FORMATS[name]
    assert form is not None
    monkeypatch.setattr(layouts, "_AT_ONCE", 128 * 64)
    random = torch.Generator().manual_seed(0)
    for layout in LAYOUTS:
        if layout == "modelopt" and form.stored.startswith("INT"):
            continue
        for rows in (1, 128, 300):
            weight = torch.randn(rows, 64, generator=random).to(torch.bfloat16)
            weight[rows // 2] = 0
            whole = encode(weight.float(), form, layout, largest_input=3.0)  # type: ignore[arg-type]
            parts = encode_in_slices(weight, form, layout, largest_input=3.0)  # type: ignore[arg-type]
            assert len(whole) == len(parts)
            for one, other in zip(whole, parts, strict=True):
                assert one.dtype == other.dtype and one.shape == other.shape
                assert torch.equal(_bytes(one), _bytes(other))


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous().view(-1).view(torch.uint8)
