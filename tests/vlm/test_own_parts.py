"""Models of one's own parts: any tower and any language model, written, opened and asked."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

import latentvlm
from latentvlm.data.tokenizer import train_tokenizer
from latentvlm.errors import CheckpointError, ConfigError
from latentvlm.vision_encoder.library_tower import LibraryTower
from latentvlm.vision_encoder.timm_encoder import TimmEncoder
from latentvlm.vlm import parts
from latentvlm.vlm.checkpoint import load_config, load_model, save_model
from latentvlm.vlm.config import LanguageConfig, Multipliers, Rotary, TowerConfig
from latentvlm.vlm.language_model import LanguageModel
from latentvlm.vlm.model import VisionLanguageModel
from latentvlm.vlm.presets import tiny
from latentvlm.vlm.sampling import GenerationConfig
from latentvlm.vlm.skeleton import skeleton

from ..support.tiny_model import TEXTS

VOCABULARY = 320


def nemotron_h() -> LanguageConfig:
    return replace(tiny().text, vocab_size=VOCABULARY)


def swiglu(family: str, pattern: str, **values) -> LanguageConfig:
    return LanguageConfig(
        family=family,
        vocab_size=VOCABULARY,
        hidden_size=32,
        hybrid_override_pattern=pattern,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        mlp_hidden_act="swiglu",
        intermediate_size=48,
        ssm_state_size=8,
        eos_token_id=11,
        **values,
    )


def jamba() -> LanguageConfig:
    return swiglu(
        "jamba",
        "m-*Em-*E",
        mamba_num_heads=64,
        mamba_head_dim=1,
        mamba_dt_rank=4,
        n_routed_experts=4,
        moe_intermediate_size=48,
        router_score="softmax",
        norm_topk_prob=False,
    )


def bamba() -> LanguageConfig:
    return swiglu(
        "bamba", "M-*-", mamba_num_heads=8, mamba_head_dim=8, rotary=Rotary(dims=4, theta=1e4)
    )


def granite() -> LanguageConfig:
    return swiglu(
        "granitemoehybrid",
        "ME*E",
        mamba_num_heads=8,
        mamba_head_dim=8,
        n_routed_experts=4,
        moe_intermediate_size=48,
        moe_shared_expert_intermediate_size=48,
        router_score="softmax",
        multipliers=Multipliers(embedding=2.0, attention=0.25, logits_divisor=4.0),
    )


def timm_vit() -> TowerConfig:
    args = {"depth": 1, "embed_dim": 48, "img_size": 64}
    return parts.library_tower("timm", "vit_tiny_patch16_224", model_args=args)


def timm_batch_norm() -> TowerConfig:
    return parts.library_tower("timm", "test_resnet")


def timm_rotary() -> TowerConfig:
    args = {"depth": 1, "embed_dim": 48, "num_heads": 4}
    return parts.library_tower("timm", "eva02_tiny_patch14_224", model_args=args)


def open_clip() -> TowerConfig:
    args = {"layers": 1, "width": 64, "head_width": 32, "image_size": 64, "patch_size": 16}
    return parts.library_tower("open_clip", "ViT-B-32", model_args=args)


def radio() -> TowerConfig:
    return tiny().vision


def built(vision: TowerConfig, text: LanguageConfig) -> VisionLanguageModel:
    torch.manual_seed(0)
    model = parts.build(vision=vision, text=text)
    with torch.no_grad():  # biases and norms start as the identity, which hides a lost one
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return model.eval()


def inputs(model: VisionLanguageModel) -> dict[str, Tensor]:
    """Text around two pictures, of 2 x 4 and 4 x 2 patches, two visual tokens each."""
    draw = torch.Generator().manual_seed(1)
    image = model.config.image_token_id
    ids = torch.randint(32, VOCABULARY, (12,), generator=draw)
    ids[2:4] = ids[7:9] = image
    patch = model.config.vision.patch_size
    pixels = torch.randn(16, 3 * patch**2, generator=draw)
    grid = torch.tensor([(2, 4), (4, 2)])
    return {"input_ids": ids, "pixel_values": pixels, "image_grid_hw": grid}


PAIRS = [
    (timm_vit, nemotron_h),
    (timm_vit, jamba),
    (timm_rotary, bamba),
    (timm_batch_norm, granite),
    (open_clip, nemotron_h),
    (open_clip, granite),
    (radio, jamba),
]


@pytest.mark.parametrize(("vision", "text"), PAIRS)
@torch.no_grad()
def test_written_and_opened_it_is_the_same(tmp_path: Path, vision, text) -> None:
    model = built(vision(), text())
    save_model(model, tmp_path / "first")
    opened = load_model(tmp_path / "first", strict_config=True)
    assert opened.config == model.config
    given = inputs(model)
    logits = model(**given)
    assert torch.equal(opened(**given), logits)
    without = given["input_ids"].masked_fill(given["input_ids"] == 18, 40)
    assert not torch.allclose(model(without), logits, atol=1e-3)

    # Narrow, and written again: the same files but for what float32 is kept.
    narrow = load_model(tmp_path / "first", dtype=torch.bfloat16)
    assert torch.isfinite(narrow(**given)).all()
    save_model(opened, tmp_path / "second")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_the_names_are_those_of_the_parts(tmp_path: Path) -> None:
    model = built(timm_vit(), jamba())
    save_model(model, tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    assert (values["model_type"], values["architectures"]) == ("latentvlm", ["LatentVLM"])
    assert values["text_config"]["architectures"] == ["JambaForCausalLM"]
    assert values["vision_config"]["library"] == "timm"
    names = set(load_file(tmp_path / "model.safetensors"))
    assert "vision_encoder.tower.blocks.0.attn.qkv.weight" in names
    assert "language_model.model.layers.1.feed_forward.experts.3.up_proj.weight" in names
    assert "projector.linear_1.weight" in names

    # By hand, config.json may leave open what the tower itself knows.
    values["vision_config"] = {
        key: values["vision_config"][key] for key in ("library", "name", "model_args")
    }
    (tmp_path / "config.json").write_text(json.dumps(values))
    assert load_config(tmp_path) == model.config


def test_gradients_reach_every_part() -> None:
    for vision in (timm_vit, open_clip):
        model = built(vision(), nemotron_h()).train()
        model(**inputs(model)).logsumexp(-1).sum().backward()
        for name in ("vision_encoder", "projector", "language_model"):
            module = getattr(model, name)
            grads = [p.grad for n, p in module.named_parameters() if "mtp." not in n]
            reached = [grad is not None and bool(grad.abs().sum() > 0) for grad in grads]
            assert sum(reached) > 0.8 * len(reached), name


def test_frames_of_a_video_are_seen_one_by_one() -> None:
    model = built(timm_vit(), nemotron_h())
    draw = torch.Generator().manual_seed(2)
    pixels = torch.randn(3 * 8, model.config.vision.patch_dim, generator=draw)
    with torch.no_grad():
        (video,) = model.encode_videos(pixels, torch.tensor([(3, 2, 4)]))
        frames = model.encode_images(pixels, torch.tensor([(2, 4)] * 3))
    assert video.shape == (3, 1, 2, model.config.text.hidden_size)
    assert torch.equal(video.flatten(0, 2), frames)
    with pytest.raises(latentvlm.InputError, match="video_grid_thw describes 16 patches"):
        model.encode_videos(pixels, torch.tensor([(2, 2, 4)]))


def test_parts_with_weights_keep_them() -> None:
    torch.manual_seed(3)
    tower = TimmEncoder("test_vit")
    text = LanguageModel(jamba())
    model = parts.build(vision=tower, text=text, projector_hidden_size=24)
    assert model.vision_encoder is tower and model.language_model is text
    assert isinstance(model.config.vision, LibraryTower)
    assert model.config.vision.name == "test_vit"
    assert model.projector.linear_1.weight.shape[0] == 24


@pytest.mark.parametrize(("vision", "text"), [(timm_vit, nemotron_h), (open_clip, jamba)])
def test_it_answers_about_a_picture(tmp_path: Path, vision, text) -> None:
    train_tokenizer(TEXTS, vocab_size=VOCABULARY, folder=tmp_path / "tokenizer")
    model = built(vision(), text())
    folder = tmp_path / "model"
    parts.save(
        model, folder, tokenizer=tmp_path / "tokenizer", min_num_patches=4, max_num_patches=64
    )
    vlm = latentvlm.load(folder, device="cpu")
    assert vlm.processor.transform.config.patch_size == model.config.vision.patch_size
    assert vlm.processor.transform.config.image_mean == model.config.vision.image_mean
    answer = vlm.ask(
        "Who sent it?",
        Image.new("RGB", (70, 50), (200, 30, 90)),
        generation=GenerationConfig(max_tokens=3),
    )
    assert answer.usage.visual_tokens >= 1
    assert 1 <= answer.usage.answer_tokens <= 3

    with pytest.raises(ConfigError, match="id 18 for <image>.*image_token_id 17"):
        wrong = VisionLanguageModel(replace(model.config, image_token_id=17))
        parts.save(wrong, tmp_path / "wrong", tokenizer=tmp_path / "tokenizer")


def test_errors_name_the_tensors(tmp_path: Path) -> None:
    save_model(built(timm_vit(), jamba()), tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    block = "vision_encoder.tower.blocks.0.attn.qkv.weight"
    expert = "language_model.model.layers.1.feed_forward.experts.3.up_proj.weight"

    def message(changed: dict[str, Tensor]) -> str:
        save_file(changed, path)
        with pytest.raises(CheckpointError) as caught:
            load_model(tmp_path)
        return str(caught.value)

    for name in (block, expert):
        assert f"missing: {name}" in message({k: v for k, v in tensors.items() if k != name})
    turned = message(tensors | {block: tensors[block].t().contiguous()})
    assert f"misshapen: {block} is [48, 144] but should be [144, 48]" in turned
    for name in (
        "vision_encoder.tower.head.weight",
        "language_model.backbone.odd",
        "mlp1.0.weight",
    ):
        assert "unexpected" in (said := message(tensors | {name: torch.ones(1)})) and name in said


def test_what_cannot_be_is_refused_in_a_sentence(tmp_path: Path) -> None:
    model = built(timm_vit(), jamba())
    with pytest.raises(ConfigError, match="no library 'tim' of vision towers; did you mean 'timm'"):
        parts.library_tower("tim", "vit_tiny_patch16_224")
    with pytest.raises(ConfigError, match="cannot encode pictures of any size"):
        parts.library_tower("timm", "vit_tiny_patch16_224", model_args={"dynamic_img_size": False})
    with pytest.raises(ConfigError, match="cannot be written to config.json"):
        replace(model.config.vision, model_args={"norm_layer": torch.nn.LayerNorm})
    with pytest.raises(ConfigError, match="has hidden_size 48, but its configuration says 40"):
        replace(model.config.vision, hidden_size=40).build()
    with pytest.raises(ConfigError, match="vit_tiny_patch16_224 is not RADIO"):
        save_model(
            VisionLanguageModel(replace(model.config, text=nemotron_h(), family="nemotron_h_omni")),
            tmp_path,
        )

    save_model(model, tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    for changed, sentence in [
        ({"text_config": None}, "has no text_config"),
        ({"text_config": {"model_type": "llama"}}, "text_config names llama; it must name one of"),
        ({"vision_config": {"library": "timm"}}, "it needs a name"),
        ({"vision_config": {"library": "hf", "name": "x"}}, "timm, open_clip or radio"),
    ]:
        (tmp_path / "config.json").write_text(json.dumps(values | changed))
        with pytest.raises(ConfigError, match=sentence):
            load_config(tmp_path)


def test_a_skeleton_has_every_name_and_shape() -> None:
    model = built(open_clip(), nemotron_h())
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    bare = {name: tensor.shape for name, tensor in skeleton(model.config).state_dict().items()}
    assert bare == shapes
