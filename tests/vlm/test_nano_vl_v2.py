"""Nemotron Nano V2 VL: its config.json, its tensors, and its pictures and videos answered."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support.tiny_vl_v2 import PATCH, TILE, tiny_vl_v2_config, write_tiny_vl_v2
from support.videos import frames, resized, tower_features, video_tokens, visual_tokens

import latentvlm
from latentvlm.errors import ConfigError
from latentvlm.vlm.census.tensors import config_tensors
from latentvlm.vlm.checkpoint import load_config, load_model, save_model
from latentvlm.vlm.checkpoint.families import family_of_json
from latentvlm.vlm.checkpoint.nemotron_nano_vl_v2 import FAMILY
from latentvlm.vlm.checkpoint.nemotron_nano_vl_v2_config import config_from_json, config_to_json
from latentvlm.vlm.config import VisionLanguageConfig
from latentvlm.vlm.model import VisionLanguageModel
from latentvlm.vlm.prompt import embed
from latentvlm.vlm.vlm import VLM

PATTERN = "M-M-M-M*-M-M-M-M*-M-M-M-M*-M-M-M-M*-M-M-M-M*-M-M-M-M*-M-M-M-M-"
TEXT = {
    "architectures": ["NemotronHForCausalLM"],
    "model_type": "nemotron_h",
    "hybrid_override_pattern": PATTERN,
    "num_hidden_layers": 62,
    "hidden_size": 5120,
    "intermediate_size": 20480,
    "num_attention_heads": 40,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "mamba_num_heads": 128,
    "mamba_head_dim": 80,
    "n_groups": 8,
    "ssm_state_size": 128,
    "vocab_size": 131072,
    "max_position_embeddings": 131072,
    "rope_theta": 10000,
}
RELEASED = {
    "architectures": ["NemotronH_Nano_VL_V2"],
    "model_type": "NemotronH_Nano_VL_V2",
    "auto_map": {"AutoConfig": "configuration.NemotronH_Nano_VL_V2_Config"},
    "llm_config": TEXT,
    "vision_config": {
        "args": {
            "model": "vit_huge_patch16_224",
            "register_multiple": 10,
            "cpe_max_size": 2048,
            "cls_token_per_teacher": True,
            "teachers": [{"name": name} for name in ["clip", "siglip", "dino_v2", "sam"]],
        },
        "version": "radio_v2.5-h",
        "patch_size": 16,
        "max_resolution": 2048,
        "preferred_resolution": [768, 768],
        "adaptor_names": None,
    },
    "force_image_size": 512,
    "patch_size": 16,
    "downsample_ratio": 0.5,
    "ps_version": "v2",
    "image_tag_type": "internvl",
    "template": "some_template",
    "vit_hidden_size": 1280,
    "projector_hidden_size": 20480,
    "use_thumbnail": True,
    "max_sequence_length": 131072,
    "norm_mean": [0.48145466, 0.4578275, 0.40821073],
    "norm_std": [0.26862954, 0.26130258, 0.27577711],
    "img_context_token": "<image>",
    "img_start_token": "<img>",
    "img_end_token": "</img>",
    "img_context_token_id": 131072,
    "video_context_token": "<video>",
    "video_pruning_rate": 0.7,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nano-vl-v2")
    write_tiny_vl_v2(path)
    return path


@pytest.fixture(scope="module")
def vlm(folder: Path) -> VLM:
    return latentvlm.load(folder, device="cpu")


@pytest.fixture(scope="module")
def model(vlm: VLM) -> VisionLanguageModel:
    assert isinstance(vlm.model, VisionLanguageModel)
    return vlm.model


def test_a_released_configuration_there_and_back():
    config = config_from_json(RELEASED, strict=True)
    assert config.image_token_id == 131072 and config.frames_per_tubelet == 1
    assert (config.vision.num_cls_tokens, config.vision.num_registers) == (4, 6)
    assert config.video_placeholder_id == 131073  # apart from <image>, whatever is embedded
    written = json.loads(json.dumps(config_to_json(config)))
    assert config_from_json(written, strict=True) == config
    for place, given in [
        (written, RELEASED),
        (written["llm_config"], TEXT),
        (written["vision_config"], RELEASED["vision_config"]),
    ]:
        for key, value in given.items():
            if not isinstance(value, dict):
                assert place[key] == value, key
    assert written["auto_map"] == RELEASED["auto_map"]
    assert written["vision_config"]["args"] == RELEASED["vision_config"]["args"]
    assert "n_routed_experts" not in written["llm_config"]


def test_the_label_is_reused_by_early_omni_models(tmp_path: Path):
    experts = {"n_routed_experts": 128, "hybrid_override_pattern": "ME*E"}
    legacy = {
        **RELEASED,
        "llm_config": {**TEXT, **experts},
        "img_context_token_id": 18,
        "sound_config": {"hidden_size": 1024},
    }
    path = tmp_path / "config.json"
    assert family_of_json(RELEASED, path).name == "NemotronH_Nano_VL_V2"
    # a dense model of transformers 5 says eight experts and uses none
    dense = {**RELEASED, "llm_config": {**TEXT, "n_routed_experts": 8}}
    assert family_of_json(dense, path).name == "NemotronH_Nano_VL_V2"
    assert family_of_json(legacy, path).name == "nemotron_h_omni"
    path.write_text(json.dumps(legacy))
    config = load_config(tmp_path)
    assert isinstance(config, VisionLanguageConfig) and config.family == "nemotron_h_omni"
    assert config.image_token_id == 18 and config.text.n_routed_experts == 128


def test_only_the_second_pixel_shuffle():
    with pytest.raises(ConfigError, match="ps_version 'v1'; only 'v2'"):
        config_from_json({**RELEASED, "ps_version": "v1"})


def test_every_tensor_of_the_12b():
    """Names and shapes as in the description of the release, 32 blocks and 62 layers."""
    radio = "vision_model.radio_model."
    tower, mlp, backbone = f"{radio}model.", "mlp1.", "language_model.backbone."
    expected: dict[str, tuple[int, ...]] = {
        f"{tower}patch_generator.embedder.weight": (1280, 768),
        f"{tower}patch_generator.pos_embed": (1, 16384, 1280),
        f"{tower}patch_generator.cls_token.token": (10, 1280),
        f"{radio}input_conditioner.norm_mean": (3, 1, 1),
        f"{radio}input_conditioner.norm_std": (3, 1, 1),
        f"{radio}summary_idxs": (2,),
        f"{mlp}0.weight": (5120,),
        f"{mlp}1.weight": (20480, 5120),
        f"{mlp}3.weight": (5120, 20480),
        f"{backbone}embeddings.weight": (131200, 5120),
        f"{backbone}norm_f.weight": (5120,),
        "language_model.lm_head.weight": (131200, 5120),
    }
    for block in range(32):
        for name, rows, cols in [
            ("attn.qkv", 3840, 1280), ("attn.proj", 1280, 1280),
            ("mlp.fc1", 5120, 1280), ("mlp.fc2", 1280, 5120),
        ]:  # fmt: skip
            expected[f"{tower}blocks.{block}.{name}.weight"] = (rows, cols)
            expected[f"{tower}blocks.{block}.{name}.bias"] = (rows,)
        for name in ["norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias"]:
            expected[f"{tower}blocks.{block}.{name}"] = (1280,)
    inner, conv = 128 * 80, 128 * 80 + 2 * 8 * 128
    mixers: dict[str, dict[str, tuple[int, ...]]] = {
        "M": {
            "A_log": (128,), "D": (128,), "dt_bias": (128,), "conv1d.weight": (conv, 1, 4),
            "conv1d.bias": (conv,), "in_proj.weight": (inner + conv + 128, 5120),
            "norm.weight": (inner,), "out_proj.weight": (5120, inner),
        },
        "*": {
            "q_proj.weight": (5120, 5120), "k_proj.weight": (1024, 5120),
            "v_proj.weight": (1024, 5120), "o_proj.weight": (5120, 5120),
        },
        "-": {"up_proj.weight": (20480, 5120), "down_proj.weight": (5120, 20480)},
    }  # fmt: skip
    for layer, letter in enumerate(PATTERN):
        expected[f"{backbone}layers.{layer}.norm.weight"] = (5120,)
        for name, shape in mixers[letter].items():
            expected[f"{backbone}layers.{layer}.mixer.{name}"] = shape
    text = {**TEXT, "vocab_size": 131200}
    config = config_from_json({**RELEASED, "llm_config": text})
    beside = {name: tuple(tensor.shape) for name, tensor in FAMILY.constants(config).items()}
    assert {each.name: each.shape for each in config_tensors(config)} | beside == expected


def test_vocabulary_from_the_tensor_and_ids_from_the_tokenizer(folder: Path, tmp_path: Path):
    config = load_config(folder)
    assert isinstance(config, VisionLanguageConfig)
    assert config == tiny_vl_v2_config()
    assert config.text.vocab_size == 328 and config.image_token_id == 320
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    alone = load_config(tmp_path)
    assert isinstance(alone, VisionLanguageConfig)
    assert alone.text.vocab_size == 320 and alone.image_token_id == 131072


@torch.no_grad()
def test_written_back_bit_for_bit(folder: Path, tmp_path: Path, model: VisionLanguageModel):
    save_model(load_model(folder), tmp_path, files_from=folder)
    before, after = (load_file(path / "model.safetensors") for path in (folder, tmp_path))
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert tensor.dtype == after[name].dtype and torch.equal(tensor, after[name]), name
    given = json.loads((folder / "config.json").read_text())
    written = json.loads((tmp_path / "config.json").read_text())
    for key, value in given.items():
        if key != "llm_config":  # which now says the rows there are
            assert written[key] == value, key
    again = latentvlm.load(tmp_path, device="cpu")
    ids = torch.arange(30, 60)
    assert torch.equal(again.logits(input_ids=ids), model(ids))
    # the tower's own normalisation is not needed
    kept = {n: t for n, t in after.items() if "conditioner" not in n and "summary" not in n}
    save_file(kept, tmp_path / "model.safetensors")
    assert torch.equal(latentvlm.load(tmp_path, device="cpu").logits(input_ids=ids), model(ids))


def message(*parts) -> list[dict]:
    return [{"role": "user", "content": [*parts, {"type": "text", "text": "What is it?"}]}]


@torch.no_grad()
def test_a_prompt_of_tiles_and_of_labelled_frames(vlm: VLM, model: VisionLanguageModel):
    picture = np.random.default_rng(0).integers(0, 256, (60, 100, 3), dtype=np.uint8)
    clip = frames(3, 48, 64, seed=1)
    parts = [
        {"type": "video", "frames": clip, "fps": 2},
        {"type": "image", "image": picture},
        {"type": "video", "frames": clip[:1], "timestamps": [7.5]},
    ]
    inputs = vlm.processor(message(*parts))
    # 100 x 60 pixels are nearest to 3 x 2 tiles of at most 6, and 7 with the thumbnail
    assert inputs.images[0].grid == (8, 12) and inputs.images[0].visual_tokens == 7 * 4
    assert [info.shape for info in inputs.videos] == [(3, 2, 2), (1, 2, 2)]
    place = model.config.video_placeholder_id
    assert place == 328
    shown = "".join(
        {320: "I", 321: "<img>", 322: "</img>", place: "V"}.get(
            idx, vlm.processor.decode([idx], skip_special_tokens=False)
        )
        for idx in inputs.input_ids.tolist()
    )
    assert shown == (
        "<|im_start|>user\nFrame 1 sampled at 0.00 seconds: <img>VVVV</img>\n"
        "Frame 2 sampled at 0.50 seconds: <img>VVVV</img>\n"
        "Frame 3 sampled at 1.00 seconds: <img>VVVV</img>\n"
        f"<img>{'I' * 28}</img>\n"
        "Frame 1 sampled at 7.50 seconds: <img>VVVV</img>\n"
        "What is it?<|im_end|>\n<|im_start|>assistant\n"
    )
    whole = resized(picture, 2 * TILE, 3 * TILE)
    tiles = [whole[:, y : y + TILE, x : x + TILE] for y in (0, TILE) for x in (0, TILE, 2 * TILE)]
    tiles.append(resized(picture, TILE, TILE))
    weight = model.vision_encoder.patch_generator.embedder.weight
    side = TILE // PATCH
    images = [visual_tokens(model, tower_features(model, [tile], weight)) for tile in tiles]
    videos = video_tokens(model, clip, (side, side), 1)
    ids = inputs.input_ids
    expected = model.language_model.embeddings.weight[ids.where(ids < 328, 0)].clone()
    expected[ids == 320] = torch.stack(images).flatten(0, 2)
    expected[ids == place] = torch.cat([videos, videos[:1]]).flatten(0, 2)
    # float32 through a few layers; the scale is the largest value
    assert (embed(model, inputs) - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_it_answers(vlm: VLM):
    picture = np.zeros((32, 32, 3), np.uint8)
    clip = {"type": "video", "frames": frames(2, 20, 20), "fps": 1}
    config = latentvlm.GenerationConfig(max_tokens=3)
    answer = vlm.ask("What is it?", picture, clip, generation=config)
    assert answer.usage.visual_tokens == 4 + 2 * 4 and len(answer.token_ids) <= 3
