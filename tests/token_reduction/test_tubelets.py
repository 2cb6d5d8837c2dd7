"""What the frames of a video cost, against transformers' video processor."""

import random

import pytest
from transformers.models.nemotron_h_omni.video_processing_nemotron_h_omni import (
    NemotronH_Omni_Reasoning_V3VideoProcessor as TheirProcessor,
)

from latentvlm.errors import ConfigError, InputError
from latentvlm.token_reduction.budget import video_shape, video_tokens
from latentvlm.token_reduction.tubelets import Tubelets


@pytest.mark.parametrize("keeps_aspect", [True, False])
def test_grids_are_those_of_transformers(keeps_aspect: bool):
    draw = random.Random(1)
    for _ in range(300):
        height, width = draw.randint(1, 2200), draw.randint(1, 2200)
        target = draw.choice([4, 30, 256, 1000, 1024])
        theirs = TheirProcessor(
            video_target_num_patches=target, video_maintain_aspect_ratio=keeps_aspect
        )._compute_target_patches(height, width)
        ours = Tubelets(target_num_patches=target, keeps_aspect=keeps_aspect).grid(height, width)
        assert ours == theirs[::-1], (height, width, target)
        assert ours[0] % 2 == 0 and ours[1] % 2 == 0


def test_what_a_video_costs():
    omni = Tubelets()
    assert omni.grid(1080, 1920) == (24, 42)  # 24 x 42.67 patches, even
    assert video_shape(omni, 5, 1080, 1920) == (3, 12, 21)
    assert video_tokens(omni, 5, 1080, 1920) == 756
    assert video_tokens(omni, 512, 512, 512) == 256 * 256
    tiles = Tubelets(keeps_aspect=False, frames_per_tubelet=1)
    assert video_shape(tiles, 3, 1080, 1920) == (3, 16, 16)
    assert video_tokens(tiles, 128, 480, 640) == 32768


def test_what_is_no_video():
    with pytest.raises(InputError, match="without frames"):
        video_tokens(Tubelets(), 0, 4, 4)
    with pytest.raises(InputError, match="4 x 0"):
        Tubelets().grid(0, 4)
    with pytest.raises(ConfigError, match="frames_per_tubelet 0"):
        Tubelets(frames_per_tubelet=0)
