"""Folders that cannot be what they say: one sentence each, which names what is wrong."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support import quantized_folder as write

import latentvlm
from latentvlm.errors import CheckpointError, ConfigError, LatentVLMError
from latentvlm.vlm.checkpoint import load_model, save_model

HEAD = "language_model.lm_head.weight"


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy to damage: one file of weights, and every text file."""
    save_model(load_model(tiny_folder), tmp_path / "model", files_from=tiny_folder)
    return tmp_path / "model"


def refused(folder: Path, **options) -> str:
    with pytest.raises(LatentVLMError) as caught:
        latentvlm.load(folder, device="cpu", **options)
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".")
    return message


def edit_config(folder: Path, change) -> None:
    path = folder / "config.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def edit_weights(folder: Path, change) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    change(tensors)
    path.unlink()
    save_file(tensors, path, metadata={"format": "pt"})


def test_families_that_are_unknown_or_mixed(folder: Path) -> None:
    def of_another_kind(values: dict) -> None:
        values.update(model_type="llama", architectures=["LlamaForCausalLM"])

    text = json.loads((folder / "config.json").read_text())["text_config"]
    edit_config(folder, of_another_kind)
    assert "names LlamaForCausalLM, llama; the known families are" in refused(folder)
    # the weights of a whole model under the configuration of its language model
    (folder / "config.json").write_text(json.dumps({**text, "model_type": "nemotron_h"}))
    assert "holds unexpected tensors: language_model." in refused(folder)


def test_a_letter_that_names_no_layer(folder: Path) -> None:
    def change(values: dict) -> None:
        text = values["text_config"]
        text["hybrid_override_pattern"] = "MX" + text["hybrid_override_pattern"][2:]

    edit_config(folder, change)
    assert "hybrid_override_pattern has the letter 'X' at layer 1" in refused(folder)


def test_a_configuration_that_contradicts_the_tensors(folder: Path) -> None:
    edit_config(folder, lambda values: values["text_config"].update(mamba_head_dim=24))
    assert "does not fit its config.json: misshapen: " in refused(folder)


def test_a_tied_head_that_is_not_the_embeddings_and_an_untied_one_that_is_missing(
    folder: Path,
) -> None:
    def tie(values: dict) -> None:
        values["text_config"]["tie_word_embeddings"] = True

    shutil.copytree(folder, folder / "tied")
    edit_config(folder / "tied", tie)
    message = refused(folder / "tied")
    assert "tie_word_embeddings" in message and HEAD in message
    edit_weights(folder, lambda tensors: tensors.pop(HEAD))
    assert f"missing: {HEAD}" in refused(folder)


@pytest.mark.parametrize("cut", [9, 400, -1])
def test_a_file_cut_short(folder: Path, cut: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:cut])
    assert "model.safetensors is not a readable safetensors file" in refused(folder)


def test_a_shard_that_is_missing(tiny_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "model"))
    shard = sorted(folder.glob("model-*.safetensors"))[-1]
    shard.unlink()
    assert f"lacks the shard {shard.name} that its index names" in refused(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_found_when_asked_for(folder: Path, value: float) -> None:
    name = "language_model.backbone.layers.0.mixer.in_proj.weight"
    edit_weights(folder, lambda tensors: tensors[name][3].fill_(value))
    latentvlm.load(folder, device="cpu")
    message = refused(folder, check_weights=True)
    assert f"model.safetensors has NaN or infinity in {name}" in message


def test_packed_weights_that_are_no_numbers_are_found_too(folder: Path) -> None:
    write.quantize_folder(folder, write.fp8)
    latentvlm.load(folder, device="cpu", check_weights=True)
    name = "language_model.backbone.layers.0.mixer.in_proj.weight"
    edit_weights(folder, lambda tensors: tensors[name].view(torch.uint8)[3].fill_(0x7F))
    message = refused(folder, check_weights=True)
    assert f"model.safetensors has NaN or infinity in {name}" in message


def test_weights_that_are_numbers_pass(folder: Path) -> None:
    latentvlm.load(folder, device="cpu", check_weights=True)


def test_a_tokenizer_beyond_the_embeddings(folder: Path) -> None:
    path = folder / "tokenizer.json"
    values = json.loads(path.read_text())
    extra = {**values["added_tokens"][-1], "id": 320, "content": "<one-too-many>"}
    values["added_tokens"].append(extra)
    path.write_text(json.dumps(values))
    message = refused(folder)
    assert "tokenizer with ids up to 320" in message and "embeddings for 320 only" in message


def test_embeddings_beyond_the_tokenizer_are_fine(folder: Path) -> None:
    def widen(tensors: dict) -> None:
        for name in (HEAD, "language_model.backbone.embeddings.weight"):
            tensors[name] = torch.cat([tensors[name], torch.zeros(64, 32)])

    edit_weights(folder, widen)
    edit_config(folder, lambda values: values["text_config"].update(vocab_size=384))
    assert latentvlm.load(folder, device="cpu").logits(input_ids=torch.tensor([5])).shape[-1] == 384


def test_errors_are_of_the_kind_they_say(folder: Path) -> None:
    (folder / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="names nothing"):
        latentvlm.load(folder)
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        latentvlm.load(folder)
