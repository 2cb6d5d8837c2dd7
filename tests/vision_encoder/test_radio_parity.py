"""Our RADIO tower against transformers' `RadioModel`, in float32."""

import re

import pytest
import torch
from transformers import RadioConfig as TheirConfig
from transformers import RadioModel

from latentvlm.errors import InputError
from latentvlm.vision_encoder.radio import RadioConfig, RadioEncoder

PATCH, SIDE = 4, 8
OURS = RadioConfig(
    hidden_size=24,
    num_layers=3,
    num_heads=2,
    intermediate_size=48,
    patch_size=PATCH,
    pos_grid=SIDE,
    num_cls_tokens=2,
    num_registers=3,
)
RENAMED = {
    r"^embeddings\.patch_projection": "patch_generator.embedder",
    r"^embeddings\.position_embedding": "patch_generator.pos_embed",
    r"^embeddings\.cls_register_token": "patch_generator.cls_token.token",
    r"^encoder\.layers?\.": "blocks.",
    r"\.attention\.o_proj": ".attn.proj",
    r"\.mlp\.fc": ".mlp.fc",
}


@pytest.fixture(scope="module")
def pair() -> tuple[RadioEncoder, RadioModel]:
    torch.manual_seed(0)
    config = TheirConfig(
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=2,
        mlp_ratio=2.0,
        patch_size=PATCH,
        max_img_size=PATCH * SIDE,
        num_cls_tokens=2,
        num_registers=3,
    )
    theirs = RadioModel(config).eval()
    theirs.make_preprocessor_external()
    with torch.no_grad():
        for key, value in theirs.state_dict().items():
            if value.is_floating_point() and "layer_scale" not in key:
                value.add_(torch.randn_like(value) * 0.1)
    ours = RadioEncoder(OURS).eval()
    ours.load_state_dict(renamed(theirs.state_dict()), strict=True)
    return ours, theirs


def renamed(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    names: dict[str, torch.Tensor] = {}
    for key, value in tensors.items():
        if "layer_scale" in key or key == "summary_idxs":
            continue
        for pattern, replacement in RENAMED.items():
            key = re.sub(pattern, replacement, key)
        names[key] = value
    for key in [key for key in names if ".attention.q_proj" in key]:
        parts = [names.pop(key.replace("q_proj", f"{part}_proj")) for part in "qkv"]
        names[key.replace(".attention.q_proj", ".attn.qkv")] = torch.cat(parts)
    return names


def patches(grids: list[tuple[int, int]], *, seed: int = 3) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(sum(h * w for h, w in grids), 3 * PATCH**2, generator=draw)


GRIDS = [
    [(8, 8)],  # the table itself
    [(2, 2)],  # resized down
    [(8, 3)],  # cropped
    [(5, 7)],  # resized down and cropped
    [(16, 16)],  # resized up
    [(2, 12)],  # resized up and cropped
    [(4, 6), (8, 8), (8, 8), (2, 10), (6, 4)],  # packed
]


@pytest.mark.parametrize("grids", GRIDS, ids=str)
@torch.inference_mode()
def test_features_agree(pair: tuple[RadioEncoder, RadioModel], grids: list) -> None:
    ours, theirs = pair
    pixels, grid_hw = patches(grids), torch.tensor(grids)
    expected = theirs(pixels, image_grid_hw=grid_hw).features.reshape(-1, OURS.hidden_size)
    torch.testing.assert_close(ours(pixels, grid_hw), expected, rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_pictures_and_packed_patches_are_the_same_image(pair) -> None:
    ours, theirs = pair
    height, width = 6, 4
    picture = torch.randn(1, 3, height * PATCH, width * PATCH)
    rows = picture.reshape(3, height, PATCH, width, PATCH).permute(1, 3, 0, 2, 4).flatten(2)
    packed = ours(rows.flatten(0, 1), torch.tensor([[height, width]]))
    torch.testing.assert_close(packed, theirs(picture).features[0], rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_images_of_a_row_do_not_see_each_other(pair) -> None:
    ours, _ = pair
    grids = [(4, 4), (6, 2), (4, 4)]
    pixels = patches(grids)
    before = ours(pixels, torch.tensor(grids))
    pixels[16:28] += 1.0
    after = ours(pixels, torch.tensor(grids))
    torch.testing.assert_close(before[:16], after[:16], rtol=0, atol=1e-6)
    torch.testing.assert_close(before[28:], after[28:], rtol=0, atol=1e-6)
    assert (before[16:28] - after[16:28]).abs().max() > 1e-3


def test_grids_that_do_not_fit_say_so(pair) -> None:
    with pytest.raises(InputError, match="describes 12 patches but pixel_values holds 16"):
        pair[0](patches([(4, 4)]), torch.tensor([[3, 4]]))


def test_bfloat16_with_gradients_agrees_with_float32() -> None:
    config = RadioConfig(
        hidden_size=32, num_layers=2, num_heads=2, intermediate_size=64, patch_size=8, pos_grid=8
    )
    torch.manual_seed(0)
    tower = RadioEncoder(config)
    patches, grids = torch.randn(14, config.patch_dim), torch.tensor([[2, 3], [2, 4]])
    found = []
    for cast in (False, True):
        tower.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=cast):
            features = tower(patches, grids)
        features.float().square().mean().backward()
        gradient = tower.blocks[0].attn.qkv.weight.grad
        assert gradient is not None
        found.append((features.detach().float(), gradient.clone()))
    (wide, wide_grad), (narrow, narrow_grad) = found
    torch.testing.assert_close(narrow, wide, rtol=3e-2, atol=3e-2 * float(wide.std()))
    torch.testing.assert_close(narrow_grad, wide_grad, rtol=0.1, atol=0.05 * float(wide_grad.std()))
