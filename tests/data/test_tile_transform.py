"""Pictures cut into tiles, pixel for pixel, and which folders ask for them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from support.videos import resized

from latentvlm.data.image_transform import ImageConfig
from latentvlm.data.patches import CLIP_MEAN, CLIP_STD
from latentvlm.data.processor_files import read_image_config, read_video_config
from latentvlm.data.tile_transform import TileConfig, TileTransform
from latentvlm.errors import CheckpointError, ConfigError, MediaError

V2 = {
    "force_image_size": 512,
    "patch_size": 16,
    "downsample_ratio": 0.5,
    "use_thumbnail": True,
    "norm_mean": [0.5, 0.4, 0.3],
    "norm_std": [0.2, 0.3, 0.4],
    "vision_config": {"args": {"model": "vit_huge_patch16_224"}},
}


def test_tiles_row_by_row_and_the_thumbnail_last():
    picture = np.random.default_rng(0).integers(0, 256, (100, 150, 3), dtype=np.uint8)
    small = np.random.default_rng(1).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    config = TileConfig(image_size=32, patch_size=8, max_num_tiles=6)
    packed = TileTransform(config)([picture, small])
    assert packed.image_grid_hw.tolist() == [[4, 4]] * 8
    first, second = packed.infos
    assert (first.grid, first.resized_size, first.visual_tokens) == ((8, 12), (64, 96), 7 * 4)
    assert (second.grid, second.visual_tokens) == ((4, 4), 4)
    whole = resized(picture, 64, 96)
    expected = [whole[:, y : y + 32, x : x + 32] for y in (0, 32) for x in (0, 32, 64)]
    expected += [resized(picture, 32, 32), resized(small, 32, 32)]
    for tile, patches in zip(expected, packed.pixel_values.split(16), strict=True):
        found = patches.view(4, 4, 3, 8, 8).permute(2, 0, 3, 1, 4).reshape(3, 32, 32)
        torch.testing.assert_close(found, tile, atol=1e-5, rtol=0)
    assert float(packed.pixel_values.max()) > (1 - min(CLIP_MEAN)) / min(CLIP_STD)  # not clamped
    with pytest.raises(MediaError, match="no picture"):
        TileTransform(config)([])


def write(folder: Path, name: str, values: dict) -> None:
    (folder / name).write_text(json.dumps(values))


def test_tiles_from_config_json_alone(tmp_path: Path):
    write(tmp_path, "config.json", V2)
    found = read_image_config(tmp_path)
    assert found == TileConfig(image_mean=(0.5, 0.4, 0.3), image_std=(0.2, 0.3, 0.4))
    video = read_video_config(tmp_path, frames_per_tubelet=1)
    assert video.tubelets.grid(1080, 1920) == (32, 32) and video.image_mean == (0.5, 0.4, 0.3)
    write(tmp_path, "config.json", {**V2, "norm_mean": None, "norm_std": None})
    found = read_image_config(tmp_path)
    assert (found.image_mean, found.image_std) == (CLIP_MEAN, CLIP_STD)


def test_the_preprocessor_goes_first(tmp_path: Path):
    write(tmp_path, "config.json", V2)
    values = TileConfig(image_size=64, max_num_tiles=3, use_thumbnail=False).to_json()
    write(tmp_path, "preprocessor_config.json", values)
    found = read_image_config(tmp_path)
    assert found == TileConfig(image_size=64, max_num_tiles=3, use_thumbnail=False)
    write(tmp_path, "preprocessor_config.json", {"do_rescale": False})
    with pytest.raises(ConfigError, match="do_rescale"):
        read_image_config(tmp_path)


def test_least_patches_mean_dynamic_resolution(tmp_path: Path):
    args = {"min_num_patches": 1024, "max_num_patches": 13312}
    write(tmp_path, "config.json", {**V2, "vision_config": {"args": args}})
    found = read_image_config(tmp_path)
    assert isinstance(found, ImageConfig) and found.image_mean == (0.5, 0.4, 0.3)
    assert (found.min_num_patches, found.max_num_patches) == (1024, 13312)
    write(tmp_path, "config.json", V2)
    write(tmp_path, "preprocessor_config.json", {"min_num_patches": 4})
    found = read_image_config(tmp_path)
    assert isinstance(found, ImageConfig) and found.min_num_patches == 4


def test_nothing_says_how(tmp_path: Path):
    write(tmp_path, "config.json", {"patch_size": 16})
    with pytest.raises(CheckpointError, match="pictures cannot be prepared"):
        read_image_config(tmp_path)
