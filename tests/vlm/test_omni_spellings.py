"""Every released spelling of an Omni checkpoint opens as the same model."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.tiny_model import tiny_config, write_tiny_model

import latentvlm
from latentvlm.errors import CheckpointError, ConfigError
from latentvlm.vlm.checkpoint import load_config, load_model, save_model
from latentvlm.vlm.checkpoint.nemotron_h_omni_config import config_from_json, config_to_json
from latentvlm.vlm.config import VisionLanguageConfig
from latentvlm.vlm.model import VisionLanguageModel

LABELS = [
    "NemotronH_Nano_Omni_Reasoning_V3",
    "NemotronH_Super_Omni_Reasoning_V3",
    "NemotronH_Omni_Reasoning_V3",
    "NemotronH_Nano_VL_V2",
]
TOWER = "vision_model.radio_model.model."


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, VisionLanguageModel]:
    """With the norm that MTP layers bring, not the identity, so that it is on disk."""
    folder = tmp_path_factory.mktemp("omni")
    model = write_tiny_model(folder, config=replace(tiny_config(), video_token_id=400))
    assert model.vision_final_layernorm is not None
    with torch.no_grad():
        model.vision_final_layernorm.weight.mul_(1.5)
        model.vision_final_layernorm.bias.add_(0.25)
    save_model(model, folder)
    return folder, model


@pytest.fixture
def folder(written: tuple[Path, VisionLanguageModel], tmp_path: Path) -> Path:
    return Path(shutil.copytree(written[0], tmp_path / "model"))


def same(folder: Path, model: VisionLanguageModel) -> bool:
    found, expected = load_model(folder).state_dict(), model.state_dict()
    return found.keys() == expected.keys() and all(
        torch.equal(found[name], tensor) for name, tensor in expected.items()
    )


@pytest.mark.parametrize("label", LABELS)
def test_released_labels_and_keys(written, folder: Path, label: str):
    values = json.loads((folder / "config.json").read_text())
    released = {
        **{key: values[key] for key in values if not key.startswith(("image_tok", "video_tok"))},
        "architectures": [label],
        "model_type": label,
        "llm_config": values["text_config"],
        "img_context_token_id": 18,
        "video_context_token_id": 400,
        "video_temporal_patch_size": 2,
    }
    for key in ["text_config", "vision_hidden_size", "audio_config"]:
        del released[key]
    (folder / "config.json").write_text(json.dumps(released))
    config = load_config(folder)
    assert isinstance(config, VisionLanguageConfig) and config.family == "nemotron_h_omni"
    assert (config.image_token_id, config.video_token_id) == (18, 400)
    assert same(folder, written[1])
    save_model(load_model(folder), folder)
    assert json.loads((folder / "config.json").read_text())["model_type"] == "nemotron_h_omni"
    assert same(folder, written[1])


def third_generation(tensors: dict[str, torch.Tensor], *, old: bool) -> dict[str, torch.Tensor]:
    """The tower as transformers spells it; `old` is its attention before 5.18."""
    top = {
        "patch_generator.embedder.weight": "patch_projection.weight",
        "patch_generator.video_embedder.weight": "video_patch_projection.weight",
        "patch_generator.pos_embed": "position_embedding",
        "patch_generator.cls_token.token": "cls_register_token",
    }
    projector = {"0": "norm", "1": "linear1", "3": "linear2"}
    parts = ["attention.query", "attention.key", "attention.value"]
    parts = parts if old else ["q_proj", "k_proj", "v_proj"]
    found: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        inside = name.removeprefix(TOWER)
        if name.startswith("mlp1."):
            found[f"vision_projector.mlp1.{projector[name[5]]}.weight"] = tensor
        elif inside in top:
            found[f"vision_model.embeddings.{top[inside]}"] = tensor
        elif inside.startswith("blocks."):
            _, number, rest = inside.split(".", 2)
            layer = f"vision_model.encoder.layer.{number}."
            if rest.startswith("attn.qkv."):
                kind = rest.rpartition(".")[2]
                for part, rows in zip(parts, tensor.chunk(3), strict=True):
                    found[f"{layer}attention.{part}.{kind}"] = rows.clone()
            else:
                output = "attention.output.dense" if old else "attention.o_proj"
                found[layer + rest.replace("attn.proj", output)] = tensor
                found[f"{layer}layer_scale1.lambda1"] = torch.ones(32)
        else:
            found[name] = tensor
    return found


@pytest.mark.parametrize("old", [True, False])
def test_the_tower_as_transformers_spells_it(written, folder: Path, old: bool):
    tensors: dict[str, torch.Tensor] = {}
    for path in folder.glob("*.safetensors"):
        tensors |= load_file(path)
        path.unlink()
    (folder / "model.safetensors.index.json").unlink(missing_ok=True)
    renamed = third_generation(tensors, old=old)
    save_file(renamed, folder / "model.safetensors")
    assert not any(name.startswith((TOWER, "mlp1")) for name in renamed)
    assert same(folder, written[1])
    layer = "vision_model.encoder.layer.1.attention."
    key = layer + ("attention.key.weight" if old else "k_proj.weight")
    lost = {name: tensor for name, tensor in renamed.items() if name != key}
    save_file(lost, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"missing: .*attn\.qkv\.weight"):
        load_model(folder)
    scale = next(name for name in renamed if name.endswith("lambda1"))
    save_file({**renamed, scale: torch.zeros(32)}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="layer scale other than one"):
        load_model(folder)


def test_sound_is_left_aside_and_its_configuration_kept(written, folder: Path, tmp_path: Path):
    from transformers import AutoConfig

    sound = {"hidden_size": 1024, "num_hidden_layers": 24}
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, "sound_config": sound}))
    name = "sound_encoder.encoder.layers.0.weight"
    save_file({name: torch.ones(4)}, folder / "mtp.safetensors")  # a file beside the index
    with pytest.warns(UserWarning, match=r"hear \(sound_encoder\); sound is not supported") as told:
        model = load_model(folder)
    assert len(told) == 1
    save_model(model, tmp_path / "again")
    kept = json.loads((tmp_path / "again" / "config.json").read_text())
    assert kept["left_aside_audio_config"] == sound and kept["audio_config"] is None
    # transformers would otherwise build an encoder and miss its weights
    assert AutoConfig.from_pretrained(tmp_path / "again").audio_config is None
    again = latentvlm.load(tmp_path / "again", device="cpu").model.config
    assert again.extra["left_aside_audio_config"] == sound


def test_mean_and_deviation_at_the_top(written):
    values = {**config_to_json(written[1].config), "norm_mean": [0.1, 0.2, 0.3]}
    del values["vision_config"]["norm_mean"]
    config = config_from_json(values, strict=True)
    assert config.vision.image_mean == (0.1, 0.2, 0.3)
    assert config_to_json(config)["norm_mean"] == [0.1, 0.2, 0.3]
    values["vision_config"]["separate_video_embedder"] = False
    with pytest.raises(ConfigError, match="separate_video_embedder"):
        config_from_json(values)
