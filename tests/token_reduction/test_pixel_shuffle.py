"""Pixel shuffle against transformers' and against its definition."""

import pytest
import torch
from transformers.models.nemotron_h_omni.modeling_nemotron_h_omni import (
    NemotronH_Omni_Reasoning_V3,
)

from latentvlm.errors import InputError
from latentvlm.token_reduction.pixel_shuffle import pixel_shuffle


@pytest.mark.parametrize(("height", "width"), [(2, 2), (4, 4), (6, 2), (2, 10), (8, 6)])
def test_shuffle_is_transformers(height: int, width: int) -> None:
    features = torch.arange(height * width * 3.0).view(1, height, width, 3)
    expected = NemotronH_Omni_Reasoning_V3.pixel_shuffle(None, features, 0.5)  # type: ignore[arg-type]
    ours = pixel_shuffle(features.view(-1, 3), torch.tensor([[height, width]]))
    assert torch.equal(ours, expected.reshape(-1, 12))


def test_a_token_is_its_square() -> None:
    grids = [(2, 4), (4, 2)]
    features = torch.arange(16.0)[:, None]
    merged = pixel_shuffle(features, torch.tensor(grids))
    assert merged.tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]]


def test_odd_grids_say_so() -> None:
    with pytest.raises(InputError, match="3 x 4"):
        pixel_shuffle(torch.zeros(12, 1), torch.tensor([[3, 4]]))
