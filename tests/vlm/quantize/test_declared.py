"""What the JSON of a checkpoint declares: both styles of ModelOpt, and compressed-tensors."""

import json
from pathlib import Path

import pytest
from support import quantized_folder as write

from latentvlm.errors import ConfigError
from latentvlm.vlm.quantize.declared import DeclaredFormats, is_excluded
from latentvlm.vlm.quantize.declared_files import read_declared, without_declared
from latentvlm.vlm.quantize.declared_json import declared_from_json

EXPERTS = {
    f"backbone.layers.1.mixer.experts.{e}.{kind}_proj": {"quant_algo": "NVFP4", "group_size": 16}
    for e in range(2)
    for kind in ("up", "down")
}
MIXED = {
    "quant_algo": "mixed_precision",
    "kv_cache_quant_algo": "FP8",
    "quantized_layers": {**EXPERTS, "backbone.layers.0.mixer.in_proj": {"quant_algo": "FP8"}},
}


def read(folder: Path, config: dict, apart: dict | None = None) -> DeclaredFormats | None:
    (folder / "config.json").write_text(json.dumps(config))
    if apart is not None:
        (folder / "hf_quant_config.json").write_text(json.dumps(apart))
    return read_declared(folder)


def from_json(values: object) -> DeclaredFormats:
    return declared_from_json(values, source="config.json")


def test_a_file_of_its_own_is_enough(tmp_path: Path) -> None:
    assert read(tmp_path, {}) is None
    found = read(tmp_path, {}, write.nested("NVFP4", group_size=16, exclude_modules=["lm_head"]))
    assert found is not None and found.source.endswith("hf_quant_config.json")
    assert (found.producer, found.algorithm, found.kv_cache) == ("modelopt", "NVFP4", None)
    assert found.algorithm_of("lm_head") is None
    assert found.algorithm_of("backbone.layers.0.mixer.in_proj") == "NVFP4"


@pytest.mark.parametrize("key", ["quantization_config", "compression_config"])
@pytest.mark.parametrize("holder", [None, "llm_config", "text_config"])
def test_config_json_wins(tmp_path: Path, holder: str | None, key: str) -> None:
    inner = {key: write.flat("FP8", kv_cache_scheme={"num_bits": 8, "type": "float"}), "a": 1}
    config = inner if holder is None else {holder: inner, "b": 2}
    found = read(tmp_path, config, write.nested("NVFP4"))
    assert found is not None and found.source.endswith("config.json")
    assert (found.algorithm, found.excluded, found.kv_cache) == ("FP8", ("lm_head",), "FP8")
    left = without_declared(config)
    assert left == ({"a": 1} if holder is None else {holder: {"a": 1}, "b": 2})


def test_weights_alone(tmp_path: Path) -> None:
    found = from_json(write.flat("NVFP4", activations=False))
    assert found.algorithm == "W4A16_NVFP4"
    assert from_json(write.flat("NVFP4")).algorithm == "NVFP4"
    assert from_json({"quant_algo": "fp8", "exclude_modules": ["a"]}).excluded == ("a",)


@pytest.mark.parametrize("style", ["nested", "flat", "flat without layers"])
def test_a_map_of_layers(tmp_path: Path, style: str) -> None:
    apart = {"quantization": MIXED}
    flat = {**MIXED, "quant_method": "modelopt", "ignore": []}
    if style == "nested":
        found = read(tmp_path, {}, apart)
    elif style == "flat":
        found = read(tmp_path, {"quantization_config": flat})
    else:
        del flat["quantized_layers"]
        found = read(tmp_path, {"quantization_config": flat}, apart)
    assert found is not None and found.algorithm == "MIXED_PRECISION" and found.kv_cache == "FP8"
    assert found.algorithm_of("backbone.layers.1.mixer.experts.1.down_proj") == "NVFP4"
    assert found.algorithm_of("backbone.layers.1.mixer.experts") == "NVFP4"
    assert found.algorithm_of("backbone.layers.0.mixer.in_proj") == "FP8"
    assert found.algorithm_of("backbone.layers.0.mixer.out_proj") is None
    assert found.algorithm_of("backbone.layers.1.mixer.expert") is None


def test_compressed_tensors() -> None:
    found = from_json(write.compressed("nvfp4-pack-quantized", kv_cache_scheme=None))
    assert (found.producer, found.algorithm) == ("compressed-tensors", "W4A16_NVFP4")
    assert found.algorithm_of("backbone.layers.1.mixer.gate.weight") is None
    assert found.algorithm_of("lm_head") is None
    # names are whole: no part of one and no wildcard
    assert found.algorithm_of("language_model.lm_head") == "W4A16_NVFP4"
    values = write.compressed("mixed-precision")
    values["config_groups"] = {
        "group_0": {"targets": ["re:.*experts.*"], "format": "nvfp4-pack-quantized"},
        "group_1": {"targets": ["re:.*in_proj$"], "format": "float-quantized"},
    }
    found = from_json(values)
    assert found.algorithm == "MIXED_PRECISION"
    assert found.algorithm_of("backbone.layers.0.mixer.in_proj") == "FP8"
    assert found.algorithm_of("backbone.layers.0.mixer.experts.0.up_proj") == "W4A16_NVFP4"
    assert found.algorithm_of("backbone.layers.0.mixer.out_proj") is None


@pytest.mark.parametrize(
    ("module", "pattern", "covered"),
    [
        ("lm_head", "lm_head", True),
        ("language_model.lm_head", "lm_head", True),  # a part of the name
        ("backbone.layers.5.mixer.q_proj", "*q_proj*", True),
        ("backbone.layers.5.mixer.q_proj", "*.layers.5.*", True),
        ("backbone.layers.5.mixer.q_proj", "backbone.layers.5.mixer*", True),
        ("backbone.layers.5.mixer.q_proj", "*k_proj*", False),
        ("mtp.layers.0.mixer.q_proj", "mtp*", True),
        ("mtp", "mtp.*", True),
        ("mtp", "mtp*", True),
        ("backbone.mtp", "mtp.*", False),
        ("vision_model.radio_model.model.blocks.0.attn.qkv", "lm_head", True),
        ("model.vision_tower.blocks.0", "lm_head", True),
        ("Backbone", "backbone", False),
    ],
)
def test_exclusions_of_modelopt(module: str, pattern: str, covered: bool) -> None:
    assert is_excluded(module, [pattern]) is covered


def changed(**values) -> dict:
    return {**MIXED, "quantized_layers": {**MIXED["quantized_layers"], **values}}


Q = "backbone.layers.3.mixer.q_proj"
REFUSED: list[tuple[object, str]] = [
    ({"quant_method": "gptq"}, r"config\.json says the weights are quantized by gptq"),
    ({"quant_algo": "MXFP8"}, r"config\.json has the quant_algo 'MXFP8'; known are FP8"),
    ({"quant_method": "modelopt"}, "has the quant_algo None"),
    ("NVFP4", "describes its quantization by 'NVFP4', not by an object"),
    ({**write.nested("NVFP4", group_size=32)}, "has a group_size of 32; NVFP4 has 16"),
    ({"quant_algo": "MIXED_PRECISION"}, "MIXED_PRECISION but has no quantized_layers"),
    (changed(x={"quant_algo": "INT4_AWQ"}), "has the quant_algo 'INT4_AWQ' for x"),
    (changed(x={"quant_algo": "NVFP4", "group_size": 8}), "has a group_size of 8 for x"),
    (
        changed(**{"backbone.layers.1.mixer.experts.1.up_proj": {"quant_algo": "FP8"}}),
        r"the parts of backbone\.layers\.1\.mixer\.experts different algorithms \(FP8, NVFP4\)",
    ),
    (
        changed(**{Q: {"quant_algo": "FP8"}}),
        r"the parts of backbone\.layers\.3\.mixer\.qkv_proj different algorithms \(FP8, none\)",
    ),
    (write.compressed("mxfp4-pack-quantized"), "has the format 'mxfp4-pack-quantized' in group_0"),
    ({"quant_method": "compressed-tensors"}, "has no config_groups"),
    ({"quant_method": "compressed-tensors", "config_groups": [1]}, "that are no object"),
]


@pytest.mark.parametrize(("values", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_what_is_refused(values: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        from_json(values)


def test_queries_keys_and_values_that_agree() -> None:
    three = {Q.replace("q_", f"{letter}_"): {"quant_algo": "FP8"} for letter in "qkv"}
    assert from_json(changed(**three)).algorithm_of(Q) == "FP8"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"quant_method": "modelopt", "quant_algo": "FP8", "ignore": 7}, "ignore 7, which is no"),
        (write.compressed("float-quantized", ignore=["re:("]), "'re:\\(' in ignore"),
    ],
)
def test_patterns_that_match_nothing_are_refused(values: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        from_json(values)
