"""timm and open_clip towers against their own libraries, and what cannot be built."""

from types import SimpleNamespace

import open_clip
import pytest
import timm
import torch
from open_clip.model import CLIPVisionCfg, _build_vision_tower
from safetensors.torch import save_file

from latentvlm.errors import CheckpointError, ConfigError, InputError
from latentvlm.vision_encoder.open_clip_encoder import OpenClipEncoder
from latentvlm.vision_encoder.picture_tower import unpack_patches
from latentvlm.vision_encoder.timm_encoder import TimmEncoder

SMALL_CLIP = {"layers": 2, "width": 64, "head_width": 32, "image_size": 96}


def random_patches(count: int, patch_size: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, 3 * patch_size**2, generator=generator)


def test_unpacking_puts_every_pixel_in_its_place():
    picture = torch.randn(3, 8, 12, generator=torch.Generator().manual_seed(0))
    rows = [
        picture[:, y : y + 4, x : x + 4].flatten() for y in range(0, 8, 4) for x in range(0, 12, 4)
    ]
    assert torch.equal(unpack_patches(torch.stack(rows)[None], (2, 3), 4)[0], picture)


@torch.no_grad()
@pytest.mark.parametrize("name", ["test_vit", "test_vit4", "test_vit3"])
def test_timm_features_are_timms_own(tmp_path, name):
    model = timm.create_model(name).eval()  # with its head, which the tower leaves aside
    save_file(model.state_dict(), tmp_path / "tower.safetensors")
    encoder = TimmEncoder(name, weights=tmp_path / "tower.safetensors").eval()
    rows = model.patch_embed.grid_size[0]
    patches = random_patches(rows * rows, 16)
    picture = unpack_patches(patches[None], (rows, rows), 16)
    expected = model.forward_features(picture)[0, model.num_prefix_tokens :]
    features = encoder(patches, torch.tensor([(rows, rows)]))
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-5)
    assert encoder.image_mean == tuple(model.pretrained_cfg["mean"])


@torch.no_grad()
@pytest.mark.parametrize("whole_model", [True, False])
def test_open_clip_features_are_open_clips_own(tmp_path, whole_model):
    visual = _build_vision_tower(32, CLIPVisionCfg(patch_size=32, output_tokens=True, **SMALL_CLIP))
    state = {("visual." if whole_model else "") + k: v for k, v in visual.state_dict().items()}
    if whole_model:
        state["logit_scale"] = torch.ones(())
    save_file(state, tmp_path / "clip.safetensors")
    encoder = OpenClipEncoder(
        "ViT-B-32", weights=tmp_path / "clip.safetensors", model_args=SMALL_CLIP
    ).eval()
    patches = random_patches(9, 32)
    expected = visual.eval()(unpack_patches(patches[None], (3, 3), 32))[1][0]
    features = encoder(patches, torch.tensor([(3, 3)]))
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-5)
    assert encoder.image_mean == open_clip.OPENAI_DATASET_MEAN


@torch.no_grad()
def test_the_timm_trunk_of_an_open_clip_model(tmp_path):
    args = {"timm_model_name": "test_vit2"}
    visual = _build_vision_tower(32, CLIPVisionCfg(timm_pool="avg", **args)).eval()
    state = {f"visual.{name}": value for name, value in visual.state_dict().items()}
    save_file(state, tmp_path / "clip.safetensors")
    encoder = OpenClipEncoder(
        "ViT-B-16-SigLIP", weights=tmp_path / "clip.safetensors", model_args=args
    ).eval()
    rows = visual.trunk.patch_embed.grid_size[0]
    patches = random_patches(rows * rows, 16)
    maps = visual.trunk.forward_intermediates(
        unpack_patches(patches[None], (rows, rows), 16),
        indices=1,
        norm=True,
        intermediates_only=True,
    )
    features = encoder(patches, torch.tensor([(rows, rows)]))
    torch.testing.assert_close(features, maps[0][0].flatten(1).t(), atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("config", [{"timm_model_name": "test_vit2"}, SMALL_CLIP])
def test_published_open_clip_weights_are_taken_over(monkeypatch, config):
    """As they would be after a download: the library's answer is stood in for."""
    normal = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
    visual = _build_vision_tower(32, CLIPVisionCfg(**config))
    visual.preprocess_cfg = normal
    state = {name: value.clone() for name, value in visual.state_dict().items()}
    name, tag = ("ViT-B-16-SigLIP", "webli") if "timm_model_name" in config else ("ViT-B-32", "e16")
    monkeypatch.setattr(open_clip, "list_pretrained_tags_by_model", lambda name: [tag])
    monkeypatch.setattr(
        open_clip, "create_model", lambda *args, **kwargs: SimpleNamespace(visual=visual)
    )
    monkeypatch.setattr(
        open_clip,
        "get_model_config",
        lambda name: {"embed_dim": 32, "vision_cfg": config},
    )
    encoder = OpenClipEncoder(name, pretrained=tag)
    kept = {
        key.removeprefix("tower.").removeprefix("tower."): value
        for key, value in encoder.state_dict().items()
    }
    assert kept and all(
        torch.equal(value, state[key if key in state else f"trunk.{key}"])
        for key, value in kept.items()
    )
    assert (encoder.image_mean, encoder.image_std) == (normal["mean"], normal["std"])


def test_a_download_that_fails_says_so(monkeypatch):
    def offline(*args, **kwargs):
        raise OSError("no route to host\nmore lines")

    monkeypatch.setattr(timm, "create_model", offline)
    monkeypatch.setattr(open_clip, "create_model", offline)
    with pytest.raises(
        CheckpointError, match="published weights .*test_vit cannot be had: no route to host[.]$"
    ):
        TimmEncoder("test_vit", pretrained=True)
    with pytest.raises(
        CheckpointError, match="openai of the tower ViT-B-32 .*no route to host[.]$"
    ):
        OpenClipEncoder("ViT-B-32", pretrained="openai")


@pytest.mark.parametrize("make", [TimmEncoder, OpenClipEncoder])
def test_unknown_names_bring_near_ones(make):
    name, near = ("vit_tiny_patch16_244", "vit_tiny_patch16_224")
    if make is OpenClipEncoder:
        name, near = "ViT-B-33", "ViT-B-32"
    with pytest.raises(ConfigError, match=near):
        make(name)
    for remote in ("hf-hub:timm/vit_tiny_patch16_224", "hf_hub:any/thing"):
        with pytest.raises(ConfigError, match="has no tower"):  # and nothing is fetched
            make(remote)


def test_windows_of_another_size_are_those_of_a_tower_built_for_it():
    size = (160, 128)
    arguments = {"depths": (1, 2, 1, 1), "always_partition": True}
    torch.manual_seed(0)
    encoder = TimmEncoder("swin_tiny_patch4_window7_224", model_args=arguments).eval()
    built = timm.create_model(
        "swin_tiny_patch4_window7_224", num_classes=0, img_size=size, **arguments
    ).eval()
    built.load_state_dict(encoder.tower.state_dict(), strict=False)
    pictures = torch.randn(1, 3, *size)
    with torch.no_grad():
        found = encoder.feature_maps(pictures)
        wanted = built.forward_features(pictures).permute(0, 3, 1, 2)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("name", ["test_vit_relpos", "convit_tiny", "levit_128", "hiera_tiny_224"])
def test_towers_of_one_size_are_refused_by_name(name):
    with pytest.raises(ConfigError, match=f"tower {name} .*cannot encode|tower {name} cannot"):
        TimmEncoder(name)


def test_arguments_that_do_not_fit():
    with pytest.raises(ConfigError, match="cannot build vit_tiny_patch16_224 .*dephts"):
        TimmEncoder("vit_tiny_patch16_224", model_args={"dephts": 2})
    with pytest.raises(ConfigError, match="cannot build ViT-B-32 .*layer_count"):
        OpenClipEncoder("ViT-B-32", model_args={"layer_count": 2})
    with pytest.raises(ConfigError, match="not both"):
        TimmEncoder("test_vit", pretrained=True, weights="x.safetensors")
    with pytest.raises(ConfigError, match="no weights laion for the tower ViT-B-32; it has: "):
        OpenClipEncoder("ViT-B-32", pretrained="laion")
    with pytest.raises(ConfigError, match="neither"):
        OpenClipEncoder("ViT-B-32", pretrained="openai", model_args={"layers": 1})


def test_weights_that_do_not_fit(tmp_path):
    path = tmp_path / "tower.safetensors"
    state = timm.create_model("test_vit").state_dict()

    def refused(tensors: dict) -> str:
        save_file(tensors, path)
        with pytest.raises(CheckpointError) as caught:
            TimmEncoder("test_vit", weights=path)
        return str(caught.value)

    assert "lack cls_token" in refused({k: v for k, v in state.items() if k != "cls_token"})
    assert "unexpected surprise" in refused({**state, "surprise": torch.ones(1)})
    assert "cls_token (1, 1, 9) instead of" in refused({**state, "cls_token": torch.ones(1, 1, 9)})
    path.write_bytes(b"no tensors")
    with pytest.raises(CheckpointError, match="no readable safetensors"):
        TimmEncoder("test_vit", weights=path)
    with pytest.raises(CheckpointError, match="no readable safetensors"):
        TimmEncoder("test_vit", weights=tmp_path / "none.safetensors")


def test_input_that_does_not_fit_and_no_image_at_all():
    encoder = TimmEncoder("test_vit")
    with pytest.raises(InputError, match=r"3 \* 16 \* 16"):
        encoder(torch.zeros(6, 100), torch.tensor([(2, 3)]))
    with pytest.raises(InputError, match="describes 0 patches"):
        encoder(torch.zeros(6, 768), torch.tensor([(0, 3)]))
    none = encoder(torch.zeros(0, 768), torch.zeros(0, 2, dtype=torch.int64))
    assert none.shape == (0, encoder.hidden_size)


def test_batch_statistics_stay_fixed_in_training():
    encoder = TimmEncoder("test_resnet").train()
    before = {name: value.clone() for name, value in encoder.named_buffers()}
    encoder(random_patches(6, 32), torch.tensor([(2, 3)]))
    assert encoder.training
    assert before and all(torch.equal(before[name], b) for name, b in encoder.named_buffers())
