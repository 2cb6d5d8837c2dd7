"""Every value of a `config.json` set to what it cannot be: it opens, or a sentence says why not."""

import json
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from support.tiny_model import random_model, tiny_config
from support.tiny_vl_v2 import write_tiny_vl_v2

from latentvlm import load
from latentvlm.errors import CheckpointError, ConfigError
from latentvlm.vlm.checkpoint import load_config, load_model, save_model
from latentvlm.vlm.config import LanguageConfig
from latentvlm.vlm.skeleton import skeleton

NO_SIZES = ["x", "auto", -1, 0, 1.5, True, None, [], [1], {}, float("inf")]
FAMILIES: dict[str, dict[str, Any]] = {
    "nemotron_h": {
        "hybrid_override_pattern": "ME*-",
        "layers_block_type": None,
        "mtp_hybrid_override_pattern": "*E",
        "hidden_size": 32,
        "intermediate_size": 48,
        "conv_kernel": 4,
        "mamba_num_heads": 4,
        "mamba_head_dim": 8,
        "n_groups": 2,
        "ssm_state_size": 8,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "n_routed_experts": 4,
        "moe_intermediate_size": 16,
        "moe_latent_size": 16,
        "n_group": 1,
        "vocab_size": 64,
    },
    "jamba": {
        "num_hidden_layers": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "mamba_d_state": 8,
        "mamba_d_conv": 4,
        "mamba_expand": 2,
        "mamba_dt_rank": 4,
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
        "num_experts": 4,
        "vocab_size": 64,
    },
    "bamba": {
        "num_hidden_layers": 2,
        "attn_layer_indices": [1],
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "mamba_d_state": 8,
        "mamba_d_conv": 4,
        "mamba_d_head": 16,
        "mamba_n_heads": 4,
        "mamba_n_groups": 1,
        "vocab_size": 64,
    },
}


def changed(values: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    for key in [*values, "architectures"]:
        for bad in NO_SIZES:
            yield {**values, key: bad}, f"{key} {bad!r}"


@pytest.mark.parametrize("family", FAMILIES)
def test_no_value_of_a_config_ends_in_a_traceback(family: str, tmp_path: Path):
    path = tmp_path / "config.json"
    refused = []
    for values, what in changed({**FAMILIES[family], "model_type": family}):
        path.write_text(json.dumps(values))
        try:
            skeleton(load_config(tmp_path))
        except ConfigError:
            refused.append(what)
        except Exception as error:
            raise AssertionError(f"{what} ends in {error!r}") from error
    path.write_text(json.dumps({**FAMILIES[family], "model_type": family}))
    skeleton(load_config(tmp_path))
    assert {"hidden_size -1", "hidden_size 1.5", "hidden_size True"} <= set(refused)
    assert {"num_attention_heads 0", "vocab_size 'x'", "intermediate_size -1"} <= set(refused)


# What a size is set to, and what the sentence says after the path of the file.
TOO_MUCH = [
    ("nemotron_h", "hidden_size", 10**7, "hidden_size is 10000000; more than 1048576"),
    ("nemotron_h", "hybrid_override_pattern", "M" * 10**6, "has 1000000 layers; more than 4096"),
    ("nemotron_h", "n_routed_experts", 2**20, "more than 1048576 experts together"),
    ("nemotron_h", "vocab_size", 10**12, "has vocab_size 1000000000000; more than 2147483647"),
    ("jamba", "num_hidden_layers", 10**9, "has num_hidden_layers 1000000000; more than 4096"),
    ("bamba", "num_hidden_layers", 10**6, "has num_hidden_layers 1000000; more than 4096"),
    ("bamba", "mamba_d_state", 2**21, "mamba_d_state is 2097152; more than 1048576"),
]


@pytest.mark.parametrize(("family", "key", "value", "sentence"), TOO_MUCH)
def test_a_size_that_no_model_has_is_refused(
    family: str, key: str, value: Any, sentence: str, tmp_path: Path
):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**FAMILIES[family], "model_type": family, key: value}))
    with pytest.raises(ConfigError) as raised:
        load_config(tmp_path)
    assert str(raised.value).startswith(str(path)) and sentence in str(raised.value)


# An error in the words of the file: its path, the part of it, and its own key for what is wrong.
SPELLED = [
    ({"num_experts": 4, "num_experts_per_tok": 9}, ": num_experts_per_tok 9 must lie between 1 and "
     "num_experts 4"),
    ({"mamba_d_conv": 0}, ": mamba_d_conv is 0; it must be"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "sentence"), SPELLED)
def test_an_error_names_the_key_of_the_file(values: dict, sentence: str, tmp_path: Path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**FAMILIES["jamba"], "model_type": "jamba", **values}))
    with pytest.raises(ConfigError) as raised:
        load_config(tmp_path)
    assert str(raised.value).startswith(f"{path}{sentence}")


def test_an_error_names_the_alias_that_the_file_uses(tmp_path: Path):
    path = tmp_path / "config.json"
    values = {**FAMILIES["nemotron_h"], "model_type": "nemotron_h", "mamba_d_conv": 0}
    del values["conv_kernel"]
    path.write_text(json.dumps(values))
    with pytest.raises(ConfigError, match=f"^{path}: mamba_d_conv is 0; "):
        load_config(tmp_path)
    path.write_text(json.dumps({"model_type": "nemotron_h"}))
    with pytest.raises(ConfigError, match=f"^{path} has neither hybrid_override_pattern nor"):
        load_config(tmp_path)


@pytest.mark.parametrize(("key", "value", "sentence"), [
    ("num_attention_heads", 0, "num_attention_heads is 0; it must be a positive integer."),
    ("num_attention_heads", 7, "is not a multiple of its num_attention_heads 7."),
    ("num_hidden_layers", 4000, "num_hidden_layers is 4000; more than 1024 is not supported."),
    ("hidden_size", 10**7, "hidden_size is 10000000; more than 65536 is not supported."),
])  # fmt: skip
def test_an_error_of_a_tower_names_its_key(
    key: str, value: int, sentence: str, tiny_folder: Path, tmp_path: Path
):
    path = tmp_path / "config.json"
    values = json.loads((tiny_folder / "config.json").read_text())
    values["vision_config"][key] = value
    path.write_text(json.dumps(values))
    with pytest.raises(ConfigError) as raised:
        load_config(tmp_path)
    assert str(raised.value).startswith(f"{path}: vision_config: The tower's ")
    assert str(raised.value).endswith(sentence)


def test_a_whole_number_may_be_written_with_a_point(tmp_path: Path):
    values = {**FAMILIES["jamba"], "model_type": "jamba", "hidden_size": 32.0}
    (tmp_path / "config.json").write_text(json.dumps(values))
    config = load_config(tmp_path)
    assert isinstance(config, LanguageConfig) and repr(config.hidden_size) == "32"


def test_labels_of_two_families_are_refused(tmp_path: Path):
    values = {**FAMILIES["jamba"], "model_type": "bamba", "architectures": ["JambaForCausalLM"]}
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(ConfigError, match="JambaForCausalLM, bamba, which are of 2 families"):
        load_config(tmp_path)


def test_an_index_of_no_file_names(tiny_folder: Path, tmp_path: Path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    index = folder / "model.safetensors.index.json"
    values = json.loads(index.read_text())
    index.write_text(json.dumps({"weight_map": dict.fromkeys(values["weight_map"], 3)}))
    with pytest.raises(CheckpointError, match="no weight_map of tensor names to file names"):
        load_model(folder)


def test_nothing_of_an_older_checkpoint_is_left_beside_a_new_one(tmp_path: Path):
    model = random_model(tiny_config(num_nextn_predict_layers=0))
    save_file({"mtp.layers.0.mixer.q_proj.weight": torch.zeros(3, 3)}, tmp_path / "mtp.safetensors")
    (tmp_path / "hf_quant_config.json").write_text('{"quantization": {"quant_algo": "INT4"}}')
    save_model(model, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_model(tmp_path)
    assert not (tmp_path / "mtp.safetensors").exists()


def test_the_written_number_format_is_the_language_models(tmp_path: Path):
    model = random_model(tiny_config())
    model.language_model.to(torch.bfloat16)  # a tower widened for a CPU stays float32
    save_model(model, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == "bfloat16"


NO_PICTURES = [
    *[(key, bad) for key in ("norm_mean", "norm_std") for bad in ("x", -1, {}, [1], ["a"] * 3)],
    *[("force_image_size", bad) for bad in ("x", [1], 33)],
    *[("patch_size", bad) for bad in ("x", 0, [1], {})],
    *[("max_num_tiles", bad) for bad in ("x", [1], {}, 1.5)],
    *[("vision_config.args", bad) for bad in ("x", 1, [1])],
    *[("vision_config.patch_size", bad) for bad in (0, -1)],
    *[("vision_config.num_attention_heads", bad) for bad in (0, -1)],
    *[("vision_config.mlp_ratio", bad) for bad in (-1, 0)],
    ("vision_config.video_temporal_patch_size", -1),
    *[("llm_config.time_step_max", bad) for bad in (-1, 0)],
]


def test_no_value_of_tower_or_tiles_ends_in_a_traceback(tmp_path: Path):
    write_tiny_vl_v2(tmp_path)
    path = tmp_path / "config.json"
    text = path.read_text()
    for key, bad in NO_PICTURES:
        values = json.loads(text)
        *parts, last = key.split(".")
        (values[parts[0]] if parts else values)[last] = bad
        path.write_text(json.dumps(values))
        try:
            load(tmp_path, "cpu")
        except ConfigError:
            continue
        except Exception as error:
            raise AssertionError(f"{key} {bad!r} ends in {error!r}") from error
        raise AssertionError(f"{key} {bad!r} is accepted")
    path.write_text(text)
    load(tmp_path, "cpu")


def test_what_is_no_name_of_a_folder_is_said():
    with pytest.raises(CheckpointError, match="3 is neither the path of a folder"):
        load(3)  # type: ignore[arg-type]
