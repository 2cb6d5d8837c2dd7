"""The contract of the `VisionEncoder` protocol, for every encoder there is."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from latentvlm.errors import InputError
from latentvlm.vision_encoder.base import VisionEncoder
from latentvlm.vision_encoder.open_clip_encoder import OpenClipEncoder
from latentvlm.vision_encoder.radio import RadioConfig, RadioEncoder
from latentvlm.vision_encoder.timm_encoder import TimmEncoder

GRIDS = [(2, 3), (4, 2), (2, 3), (1, 5)]


def radio() -> RadioEncoder:
    return RadioEncoder(
        RadioConfig(
            hidden_size=32,
            num_layers=2,
            num_heads=2,
            intermediate_size=64,
            patch_size=8,
            pos_grid=4,
        )
    )


def timm_vit(name: str, **model_args) -> Callable[[], TimmEncoder]:
    return lambda: TimmEncoder(name, model_args={"depth": 2, "embed_dim": 48, **model_args})


SMALL_CLIP = {"layers": 2, "width": 64, "head_width": 32, "image_size": 96}

ENCODERS: dict[str, Callable[[], VisionEncoder]] = {
    "radio": radio,
    "timm vit": timm_vit("vit_tiny_patch16_224"),
    "timm vit, mean of patches, registers": lambda: TimmEncoder("test_vit3"),
    "timm vit, two class tokens": timm_vit("deit_tiny_distilled_patch16_224"),
    "timm rotary": timm_vit("eva02_tiny_patch14_224", num_heads=4),
    "timm convolutions": lambda: TimmEncoder("test_convnext", model_args={"ls_init_value": 1.0}),
    "timm batch norm": lambda: TimmEncoder("test_resnet"),
    "open_clip vit": lambda: OpenClipEncoder("ViT-B-32", model_args=SMALL_CLIP),
    "open_clip coca": lambda: OpenClipEncoder("coca_ViT-B-32", model_args=SMALL_CLIP),
    "open_clip resnet": lambda: OpenClipEncoder(
        "RN50", model_args={"layers": [1, 1, 1, 1], "width": 8}
    ),
    "open_clip timm": lambda: OpenClipEncoder(
        "ViT-B-16-SigLIP", model_args={"timm_model_name": "test_vit2"}
    ),
}


@pytest.fixture(params=ENCODERS, scope="module")
def encoder(request) -> VisionEncoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ENCODERS[request.param]()


def images(encoder: VisionEncoder, grids: list[tuple[int, int]], seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    width = 3 * encoder.patch_size**2
    return [torch.randn(rows * columns, width, generator=generator) for rows, columns in grids]


def encode(encoder: VisionEncoder, pictures: list[Tensor], grids: list) -> list[Tensor]:
    features = encoder(torch.cat(pictures), torch.tensor(grids))
    return list(features.split([rows * columns for rows, columns in grids]))


def test_one_feature_per_patch(encoder):
    assert isinstance(encoder, VisionEncoder)
    features = torch.cat(encode(encoder, images(encoder, GRIDS), GRIDS))
    assert features.shape == (6 + 8 + 6 + 5, encoder.hidden_size)
    assert features.isfinite().all() and features.std() > 0
    assert encoder.num_prefix_tokens >= 0


@torch.no_grad()
def test_packed_equals_alone_in_any_order(encoder):
    pictures = images(encoder, GRIDS)
    packed = encode(encoder, pictures, GRIDS)
    for picture, grid, features in zip(pictures, GRIDS, packed, strict=True):
        alone = encode(encoder, [picture], [grid])[0]
        torch.testing.assert_close(features, alone, atol=1e-5, rtol=1e-5)
    backwards = encode(encoder, pictures[::-1], GRIDS[::-1])
    for features, again in zip(packed, backwards[::-1], strict=True):
        torch.testing.assert_close(features, again, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_images_never_see_each_other(encoder):
    pictures = images(encoder, GRIDS)
    before = encode(encoder, pictures, GRIDS)
    pictures[0] = pictures[0] * -3 + 1
    after = encode(encoder, pictures, GRIDS)
    assert (before[0] - after[0]).abs().max() > 1e-4
    for index in (1, 2, 3):  # image 2 has the size of image 0, so both are in one batch
        torch.testing.assert_close(before[index], after[index], atol=1e-6, rtol=1e-6)


@torch.no_grad()
def test_the_grid_matters_not_only_the_number_of_patches(encoder):
    (picture,) = images(encoder, [(2, 3)])
    wide, tall = encode(encoder, [picture, picture], [(2, 3), (3, 2)])
    assert (wide - tall).abs().max() > 1e-5


@torch.no_grad()
def test_features_lie_on_the_grid_of_their_patches(encoder):
    """Row-major: a change of one patch moves the feature at that place most."""
    grid, place = (4, 6), 3 * 6 + 4
    (picture,) = images(encoder, [grid])
    changed = picture.clone()
    changed[place] += 0.02
    moved = encode(encoder, [changed], [grid])[0] - encode(encoder, [picture], [grid])[0]
    assert moved.norm(dim=1).argmax() == place


def test_gradients_reach_every_patch_and_parameter(encoder):
    pictures = torch.cat(images(encoder, GRIDS)).requires_grad_()
    encoder.zero_grad()
    features = encoder(pictures, torch.tensor(GRIDS))
    weights = torch.randn(features.shape, generator=torch.Generator().manual_seed(1))
    (features * weights).sum().backward()
    assert pictures.grad is not None and pictures.grad.isfinite().all()
    assert (pictures.grad.abs().amax(1) > 0).all()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    encoder.zero_grad()


@torch.no_grad()
def test_bfloat16(encoder):
    pictures, grids = torch.cat(images(encoder, GRIDS)), torch.tensor(GRIDS)
    exact = encoder(pictures, grids)
    encoder.bfloat16()
    try:
        features = encoder(pictures, grids)
    finally:
        encoder.float()
    assert features.dtype == torch.bfloat16 and features.isfinite().all()
    # 8 bits of mantissa, added up over the layers; a wrong order of tokens would be near 1.
    assert (features.float() - exact).norm() / exact.norm() < 0.1


def test_grids_that_do_not_describe_the_patches(encoder):
    (picture,) = images(encoder, [(2, 3)])
    with pytest.raises(InputError, match="6"):
        encoder(picture, torch.tensor([(2, 2)]))


def test_no_head_is_kept(encoder):
    names = set(encoder.state_dict())
    assert names and not any("head." in name or "attn_pool" in name for name in names)
