"""Checkpoint folders: names, shards, number formats, and what is refused, with names."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from support.tiny_model import random_model, tiny_config

from latentvlm.errors import CheckpointError
from latentvlm.vlm.checkpoint import load_model, nemotron_h, nemotron_h_omni, save_model
from latentvlm.vlm.checkpoint.names import Place
from latentvlm.vlm.model import VisionLanguageModel

INDEX = "model.safetensors.index.json"


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy to damage: one file of weights, no tokenizer."""
    model = load_model(tiny_folder)
    save_model(model, tmp_path / "model")
    return tmp_path / "model"


def edit(folder: Path, change) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def test_what_is_written_is_read(tiny_folder: Path):
    written, read = random_model(tiny_config()), load_model(tiny_folder)
    assert isinstance(read, VisionLanguageModel)
    assert read.config == written.config and not read.training
    assert written.state_dict().keys() == read.state_dict().keys()
    for name, tensor in written.state_dict().items():
        assert torch.equal(tensor, read.state_dict()[name]), name
    assert all(parameter.requires_grad for parameter in read.parameters())


def test_shards_stay_under_the_limit_and_old_ones_go(folder: Path):
    model = load_model(folder)
    save_model(model, folder, max_shard_bytes=50_000)
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 3 and not (folder / "model.safetensors").exists()
    weight_map = json.loads((folder / INDEX).read_text())["weight_map"]
    assert set(weight_map.values()) == {shard.name for shard in shards}
    for shard in shards:
        with safe_open(str(shard), framework="pt") as file:
            assert file.metadata() == {"format": "pt"}
            sizes = [file.get_tensor(n).nbytes for n in file.keys()]  # noqa: SIM118
        assert len(sizes) == 1 or sum(sizes) <= 50_000
    save_model(load_model(folder), folder)
    assert sorted(path.name for path in folder.glob("*.safetensors*")) == ["model.safetensors"]
    load_model(folder)


def test_names_are_the_released_ones(folder: Path):
    names = set(load_file(folder / "model.safetensors"))
    for name in [
        "language_model.backbone.embeddings.weight",
        "language_model.backbone.layers.0.mixer.conv1d.weight",
        "language_model.backbone.layers.3.mixer.experts.0.up_proj.weight",
        "language_model.backbone.layers.3.mixer.gate.e_score_correction_bias",
        "language_model.backbone.norm_f.weight",
        "language_model.lm_head.weight",
        "language_model.mtp.layers.0.eh_proj.weight",
        "language_model.mtp.layers.1.mixer.experts.3.down_proj.weight",
        "mlp1.0.weight",
        "mlp1.1.weight",
        "mlp1.3.weight",
        "vision_model.radio_model.model.patch_generator.pos_embed",
        "vision_model.radio_model.model.blocks.1.attn.qkv.bias",
        "vision_model.radio_model.summary_idxs",
        "vision_final_layernorm.weight",  # an identity: transformers 5.24 misses it otherwise
        "vision_final_layernorm.bias",
    ]:
        assert name in names, name
    # nor under vLLM's name, which transformers 5.23 does not know
    assert not [name for name in names if name.startswith("vision_projector.")]


def test_every_other_spelling_finds_its_place():
    text, omni = nemotron_h.FAMILY.place, nemotron_h_omni.FAMILY.place
    for name in ["backbone.embedding.weight", "model.embed_tokens.weight"]:
        assert text(name) == Place(name="embeddings.weight")
    assert text("model.layers.1.mixer.experts.up_proj") == Place(
        name="layers.1.mixer.experts.up_proj"
    )
    bias = "backbone.layers.1.mixer.gate.e_score_correction.bias"
    assert text(bias) == Place(name="layers.1.mixer.gate.e_score_correction_bias")
    assert omni("mtp.layers.1.mixer.experts.7.up_proj.weight") == Place(
        name="language_model.mtp.layers.1.mixer.experts.up_proj", expert=7
    )
    for name in ["multi_modal_projector.linear_2.weight", "vision_projector.mlp1.linear2.weight"]:
        assert omni(name) == Place(name="projector.linear_2.weight")
    assert text("visual.weight") is None and omni("language_model.visual.weight") is None


def test_stored_stacks_of_experts_are_read(folder: Path):
    expected = load_model(folder).state_dict()

    def stack(tensors):
        prefix = "language_model.backbone.layers.3.mixer.experts"
        for kind in ["up_proj", "down_proj"]:
            parts = [tensors.pop(f"{prefix}.{idx}.{kind}.weight") for idx in range(4)]
            tensors[f"{prefix}.{kind}"] = torch.stack(parts)

    edit(folder, stack)
    for name, tensor in load_model(folder).state_dict().items():
        assert torch.equal(tensor, expected[name]), name


@torch.no_grad()
def test_number_formats(folder: Path):
    expected = load_model(folder).state_dict()
    save_model(load_model(folder), folder, dtype=torch.bfloat16)
    assert json.loads((folder / "config.json").read_text())["dtype"] == "bfloat16"
    for name, tensor in load_file(folder / "model.safetensors").items():
        if name.endswith(("e_score_correction_bias", "A_log", "mixer.D")):
            assert tensor.dtype == torch.float32, name
        elif not name.endswith("summary_idxs"):
            assert tensor.dtype == torch.bfloat16, name
    wide = load_model(folder, dtype=torch.float32)
    for name, tensor in wide.state_dict().items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, expected[name], atol=1e-6, rtol=2**-8)
    stored, narrow = load_model(folder), load_model(folder, dtype=torch.bfloat16)
    assert isinstance(stored, VisionLanguageModel) and isinstance(narrow, VisionLanguageModel)
    ids = torch.arange(40, 60)
    assert isinstance(wide, VisionLanguageModel)
    expected_logits = wide(ids)
    for model in [stored, narrow]:
        assert model.projector.norm.weight.dtype == torch.bfloat16
        bias = model.language_model.layers[3].mixer.gate.e_score_correction_bias
        assert bias.dtype == torch.float32
        # bfloat16 has 8 bits; a dozen roundings in a row
        assert (model(ids) - expected_logits).abs().max() < 0.1 * expected_logits.abs().max()


def test_norm_of_the_tower_is_written_once_it_matters(folder: Path):
    model = load_model(folder)
    assert isinstance(model, VisionLanguageModel) and model.vision_final_layernorm is not None
    assert torch.equal(model.vision_final_layernorm.weight, torch.ones(32))
    with torch.no_grad():
        model.vision_final_layernorm.weight.mul_(2)
    save_model(model, folder)
    names = ["vision_final_layernorm.weight", "vision_projector.vision_final_layernorm.weight"]
    for name in names:
        other = names[1 - names.index(name)]
        shutil.copytree(folder, folder / name)
        edit(folder / name, lambda tensors, other=other: tensors.pop(other))
        read = load_model(folder / name)
        assert isinstance(read, VisionLanguageModel) and read.vision_final_layernorm is not None
        assert torch.equal(read.vision_final_layernorm.weight, torch.full((32,), 2.0))


def test_draft_head_in_a_file_of_its_own(folder: Path):
    head = {}

    def split(tensors):
        for name in [name for name in tensors if ".mtp." in name]:
            head[name.removeprefix("language_model.")] = tensors.pop(name)

    edit(folder, split)
    model = load_model(folder)
    assert isinstance(model, VisionLanguageModel) and model.language_model.mtp is None
    save_file(head, folder / "mtp.safetensors")
    model = load_model(folder)
    assert isinstance(model, VisionLanguageModel) and model.language_model.mtp is not None


def test_what_is_left_aside(folder: Path):
    tower = "vision_model.radio_model"

    def add(tensors):
        tensors[f"{tower}.input_conditioner.norm_mean"] = torch.zeros(3, 1, 1)
        tensors[f"{tower}.model.blocks.0.ls1"] = torch.ones(32)
        tensors["sound_projection.norm.weight"] = torch.ones(8)
        tensors["sound_encoder.encoder.layers.0.weight"] = torch.ones(8)

    edit(folder, add)
    with pytest.warns(UserWarning, match=r"hear \(sound_encoder, sound_projection\).*left aside"):
        load_model(folder)
    edit(folder, lambda t: [t.pop(name) for name in list(t) if name.startswith("sound_")])
    load_model(folder)
    edit(folder, lambda tensors: tensors[f"{tower}.model.blocks.0.ls1"].mul_(2))
    with pytest.raises(CheckpointError, match=r"blocks\.0\.ls1"):
        load_model(folder)


EMBEDDINGS = "language_model.backbone.embeddings.weight"
EXPERT = "language_model.backbone.layers.3.mixer.experts.2.up_proj.weight"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop(EMBEDDINGS), f"missing: {re.escape(EMBEDDINGS)}"),
        (lambda t: t.pop(EXPERT), f"missing: {re.escape(EXPERT)}"),
        (lambda t: t.update({"other.weight": torch.ones(2)}), r"unexpected.*other\.weight"),
        (
            lambda t: t.update({f"{EMBEDDINGS}_scale": torch.ones(2)}),
            "weight_scale is a scale",
        ),
        (
            lambda t: t.update({EXPERT.replace(".2.", ".4."): t[EXPERT].clone()}),
            r"unexpected: .*experts\.4\.up_proj",
        ),
        (
            lambda t: t.update({EMBEDDINGS: torch.ones(3, 2)}),
            r"misshapen: .*embeddings\.weight is \[3, 2\] but should be \[320, 32\]",
        ),
        (lambda t: t.update({EXPERT: t[EXPERT][:1].clone()}), r"misshapen: .*experts\.2\.up_proj"),
        (
            lambda t: t.update({EXPERT: t[EXPERT].to(torch.float8_e4m3fn)}),
            r"experts\.2\.up_proj\.weight is F8_E4M3, quantized, but .*weight_scale is missing",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_named(folder: Path, change, words: str):
    edit(folder, change)
    with pytest.raises(CheckpointError, match=words):
        load_model(folder)


def test_files_that_cannot_be_read_are_named(folder: Path, tmp_path: Path):
    with pytest.raises(CheckpointError, match="not a folder"):
        load_model(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        load_model(tmp_path)
    save_model(load_model(folder), folder, max_shard_bytes=50_000)
    shard = sorted(folder.glob("model-*.safetensors"))[1]
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1000])
    with pytest.raises(CheckpointError, match=shard.name):
        load_model(folder)
    shard.write_bytes(b"")
    with pytest.raises(CheckpointError, match=shard.name):
        load_model(folder)
    shard.unlink()
    with pytest.raises(CheckpointError, match=rf"lacks the shard {shard.name}"):
        load_model(folder)
    shard.write_bytes(whole)
    (folder / INDEX).write_text("{")
    with pytest.raises(CheckpointError, match=r"index\.json cannot be read as JSON"):
        load_model(folder)
    (folder / INDEX).unlink()
    with pytest.raises(CheckpointError, match="no weights"):
        load_model(folder)
    (folder / "config.json").write_text("[1]")
    with pytest.raises(CheckpointError, match="no JSON object"):
        load_model(folder)


def test_companion_files_travel_along(tiny_folder: Path, tmp_path: Path):
    save_model(load_model(tiny_folder), tmp_path, files_from=tiny_folder)
    for path in tiny_folder.glob("*.json*"):
        if path.name not in {INDEX, "config.json"}:
            assert (tmp_path / path.name).read_bytes() == path.read_bytes()
    assert (tmp_path / "chat_template.jinja").is_file()


def test_a_tied_head_is_written_once(tmp_path: Path):
    model = random_model(tiny_config(tie_word_embeddings=True)).language_model
    save_model(model, tmp_path)
    assert "lm_head.weight" not in load_file(tmp_path / "model.safetensors")
    read = load_model(tmp_path)
    assert read.lm_head.weight is read.embeddings.weight
    assert torch.equal(read.embeddings.weight, model.embeddings.weight)
