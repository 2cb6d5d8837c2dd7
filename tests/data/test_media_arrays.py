"""Arrays and tensors as pictures."""

import numpy as np
import pytest
import torch

from latentvlm.data.media import MediaLimits, open_media
from latentvlm.errors import MediaError


def pixels(source) -> np.ndarray:
    (page,) = open_media(source)
    assert page.image.mode == "RGB" and page.number is None
    return np.asarray(page.image)


def colours() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def test_shapes():
    rgb = colours()
    gray = rgb[:, :, 0]
    assert np.array_equal(pixels(rgb), rgb)
    assert np.array_equal(pixels(rgb[::-1, ::2]), rgb[::-1, ::2])  # views with strides
    for source in (gray, gray[:, :, None]):
        assert np.array_equal(pixels(source), np.repeat(gray[:, :, None], 3, axis=2))
    clear = np.concatenate([rgb, np.zeros_like(rgb[:, :, :1])], axis=2)
    assert (pixels(clear) == 255).all()
    opaque = np.concatenate([rgb, np.full_like(rgb[:, :, :1], 255)], axis=2)
    assert np.array_equal(pixels(opaque), rgb)


def test_the_picture_is_not_a_view_of_the_array():
    rgb = colours()
    page = open_media(rgb)[0]
    before = page.image.tobytes()
    rgb[:] = 0
    assert page.image.tobytes() == before


def test_types():
    rgb = colours()
    assert np.array_equal(pixels(rgb.astype(np.uint16) * 257), rgb)
    for dtype in (np.float32, np.float64):
        assert np.array_equal(pixels(rgb.astype(dtype) / 255), rgb)
    assert np.array_equal(pixels(rgb[:, :, 0] > 127)[:, :, 0], (rgb[:, :, 0] > 127) * np.uint8(255))
    assert pixels(np.array([[-0.005, 1.005]]))[0, :, 0].tolist() == [0, 255]  # cubic overshoot
    assert np.abs(pixels((rgb / 255).astype(np.float16)).astype(int) - rgb).max() <= 1


def test_tensors_have_channels_first():
    rgb = colours()
    tensor = torch.from_numpy(rgb).permute(2, 0, 1)
    assert np.array_equal(pixels(tensor), rgb)
    assert np.array_equal(pixels((tensor / 255).requires_grad_()), rgb)
    assert np.array_equal(pixels(tensor[0]), np.repeat(rgb[:, :, :1], 3, axis=2))
    assert pixels((tensor / 255).bfloat16()).shape == rgb.shape


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (np.full((4, 4), np.nan, np.float32), "NaN"),
        (np.array([[0.0, np.nan, 1.0]]), "NaN"),
        (np.array([[0.0, np.inf]]), "0 to 1 is meant"),
        (np.array([[0.0, 255.0]]), "use uint8"),
        (np.array([[-1.0, 1.0]]), "0 to 1 is meant"),
        (np.zeros((0, 4, 3), np.uint8), "nothing to see"),
        (np.zeros((4, 0), np.uint8), "nothing to see"),
        (np.zeros((3, 4, 5), np.uint8), r"transpose\(1, 2, 0\)"),
        (np.zeros((2, 4, 4, 3), np.uint8), "one by one"),
        (np.zeros((4, 4, 2), np.uint8), "use .height, width. or"),
        (np.zeros(4, np.uint8), "use .height, width. or"),
        (np.zeros((4, 4), np.int64), "int64"),
        (np.zeros((4, 4), np.complex64), "complex64"),
        (np.array([["a"]]), "<U1"),
        (torch.zeros(5, 4, 3), "1, 3 or 4, height, width"),
        (torch.zeros(3, 0, 4), "nothing to see"),
        (torch.full((2, 2), torch.nan), "NaN"),
        ([1, 2, 3], "A list is not a picture"),
        (None, "A NoneType is not a picture"),
    ],
)
def test_what_is_no_picture_says_why(source, words):
    with pytest.raises(MediaError, match=words):
        open_media(source)


def test_size_limit():
    with pytest.raises(MediaError, match="max_pixels"):
        open_media(np.zeros((11, 10), np.uint8), limits=MediaLimits(max_pixels=100))
    with pytest.raises(MediaError, match="max_pixels"):
        open_media(torch.zeros(3, 11, 10), limits=MediaLimits(max_pixels=100))
