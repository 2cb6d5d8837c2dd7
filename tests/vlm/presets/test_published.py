"""The published architectures, built whole on the meta device: layers, sizes, names, shapes."""

import pytest

from latentvlm.vlm.census.tensors import config_tensors
from latentvlm.vlm.config import LanguageConfig, VisionLanguageConfig
from latentvlm.vlm.presets import preset
from latentvlm.vlm.skeleton import skeleton

# The patterns as published, written out; the presets are put together from their periods.
H_56B = (
    "M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*"
    "-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M-"
)
NANO_12B = "M-M-M-M*-M-M-M-M*-M-M-M-M*-M-M-M-M*-M-M-M-M*-M-M-M-M*-M-M-M-M-"


def text_of(name: str) -> LanguageConfig:
    config = preset(name)
    return config.text if isinstance(config, VisionLanguageConfig) else config


@pytest.mark.parametrize(("name", "billions", "drafted"), [
    # published or derived in the reports
    ("nemotron-nano-9b-v2", 8.89, 0),
    ("nemotron-nano-12b-v2", 12.31, 0),
    ("nemotron-3-nano-30b-a3b", 31.58, 0),
    ("nemotron-3-super-120b-a12b", 120.67, 2.94),
    ("nemotron-3-ultra-550b-a55b", 549.31, 11.22),
    ("nemotron-3.5-lightning-30b-a3b", 31.58, 1.34),
    # 26.36 GB of released BF16 files hold 17 MB of tokenizer
    ("nemotron-nano-12b-v2-vl", 13.17, 0),
    # the rest as their names say
    ("nemotron-h-4b", 4.49, 0),
    ("nemotron-h-8b", 8.10, 0),
    ("nemotron-h-47b", 46.79, 0),
    ("nemotron-h-56b", 56.32, 0),
    ("nemotron-3-nano-4b", 3.97, 0),
    ("nemotron-3-nano-omni-30b-a3b", 32.39, 0),
])  # fmt: skip
def test_parameters_with_and_without_the_draft_head(
    name: str, billions: float, drafted: float
) -> None:
    counts = {True: 0, False: 0}
    for key, tensor in skeleton(preset(name)).state_dict().items():
        counts[".mtp." in f".{key}"] += tensor.numel()
    assert counts[False] / 1e9 == pytest.approx(billions, abs=0.006)
    assert counts[True] / 1e9 == pytest.approx(drafted, abs=0.006)


@pytest.mark.parametrize(("name", "blocks", "attention"), [
    ("nemotron-h-8b", {"M": 24, "-": 24, "*": 4}, (7, 18, 29, 40)),
    ("nemotron-h-47b", {"M": 45, "-": 48, "*": 5}, (17, 38, 49, 60, 86)),
    ("nemotron-h-56b", {"M": 54, "-": 54, "*": 10}, tuple(range(7, 110, 11))),
    ("nemotron-nano-9b-v2", {"M": 27, "-": 25, "*": 4}, (14, 21, 30, 39)),
    ("nemotron-nano-12b-v2", {"M": 28, "-": 28, "*": 6}, (7, 16, 25, 34, 43, 52)),
    ("nemotron-3-nano-4b", {"M": 21, "-": 17, "*": 4}, (12, 17, 24, 32)),
    ("nemotron-3-nano-30b-a3b", {"M": 23, "E": 23, "*": 6}, (5, 12, 19, 26, 33, 42)),
    ("nemotron-3-super-120b-a12b", {"M": 40, "E": 40, "*": 8}, (7, 16, 25, 36, 47, 58, 69, 78)),
    ("nemotron-3-ultra-550b-a55b", {"M": 48, "E": 48, "*": 12},
     (7, 14, 23, 32, 39, 48, 57, 64, 73, 82, 89, 98)),
])  # fmt: skip
def test_layers(name: str, blocks: dict[str, int], attention: tuple[int, ...]) -> None:
    pattern = text_of(name).hybrid_override_pattern
    assert {letter: pattern.count(letter) for letter in blocks} == blocks
    assert len(pattern) == sum(blocks.values())
    assert tuple(idx for idx, letter in enumerate(pattern) if letter == "*") == attention


def test_patterns_put_together_from_periods_are_the_published_ones() -> None:
    assert text_of("nemotron-h-56b").hybrid_override_pattern == H_56B
    assert text_of("nemotron-nano-12b-v2-vl").hybrid_override_pattern == NANO_12B


def shapes(name: str) -> dict[str, tuple[int, ...]]:
    return {each.name: each.shape for each in config_tensors(preset(name))}


def test_every_kind_of_tensor_of_super_as_written_on_disk() -> None:
    found = shapes("nemotron-3-super-120b-a12b")
    inner, conv = 128 * 64, 128 * 64 + 2 * 8 * 128
    mamba = {
        "A_log": (128,),
        "D": (128,),
        "dt_bias": (128,),
        "conv1d.weight": (conv, 1, 4),
        "conv1d.bias": (conv,),
        "in_proj.weight": (inner + conv + 128, 4096),
        "norm.weight": (inner,),
        "out_proj.weight": (4096, inner),
    }
    experts = {
        "gate.weight": (512, 4096),
        "gate.e_score_correction_bias": (512,),
        "shared_experts.up_proj.weight": (5376, 4096),
        "shared_experts.down_proj.weight": (4096, 5376),
        "fc1_latent_proj.weight": (1024, 4096),
        "fc2_latent_proj.weight": (4096, 1024),
    }
    for expert in range(512):
        experts[f"experts.{expert}.up_proj.weight"] = (2688, 1024)
        experts[f"experts.{expert}.down_proj.weight"] = (1024, 2688)
    attention = {
        "q_proj.weight": (4096, 4096),
        "k_proj.weight": (256, 4096),
        "v_proj.weight": (256, 4096),
        "o_proj.weight": (4096, 4096),
    }
    wanted: dict[str, tuple[int, ...]] = {
        "backbone.embeddings.weight": (131072, 4096),
        "backbone.norm_f.weight": (4096,),
        "lm_head.weight": (131072, 4096),
        "mtp.layers.0.enorm.weight": (4096,),
        "mtp.layers.0.hnorm.weight": (4096,),
        "mtp.layers.0.eh_proj.weight": (4096, 8192),
        "mtp.layers.1.final_layernorm.weight": (4096,),
    }
    mixers = {"M": mamba, "E": experts, "*": attention}
    pattern = text_of("nemotron-3-super-120b-a12b").hybrid_override_pattern
    for stem, letters in [("backbone", pattern), ("mtp", "*E")]:
        for layer, letter in enumerate(letters):
            wanted[f"{stem}.layers.{layer}.norm.weight"] = (4096,)
            for name, shape in mixers[letter].items():
                wanted[f"{stem}.layers.{layer}.mixer.{name}"] = shape
    assert found == wanted
    assert sum(name.startswith("mtp.") for name in found) == 1040


def test_tensors_of_a_dense_hybrid_as_written_on_disk() -> None:
    found = shapes("nemotron-nano-9b-v2")
    # 128 heads of 80, whatever `expand` times the hidden size is
    assert found["backbone.layers.0.mixer.in_proj.weight"] == (10240 + 12288 + 128, 4480)
    assert found["backbone.layers.1.mixer.up_proj.weight"] == (15680, 4480)
    assert found["backbone.layers.14.mixer.k_proj.weight"] == (1024, 4480)
    # norms of all layers; 8 tensors a Mamba layer, 2 an MLP, 4 an attention; ends
    assert len(found) == 56 + 8 * 27 + 2 * 25 + 4 * 4 + 3


def test_tensors_of_the_pictures_side_as_written_on_disk() -> None:
    plain, omni = shapes("nemotron-nano-12b-v2-vl"), shapes("nemotron-3-nano-omni-30b-a3b")
    tower = "vision_model.radio_model.model."
    for found, text in [(plain, 5120), (omni, 2688)]:
        assert found[f"{tower}patch_generator.embedder.weight"] == (1280, 768)
        assert found[f"{tower}patch_generator.pos_embed"] == (1, 16384, 1280)
        assert found[f"{tower}patch_generator.cls_token.token"] == (10, 1280)
        assert found[f"{tower}blocks.31.attn.qkv.weight"] == (3840, 1280)
        assert found[f"{tower}blocks.31.attn.proj.bias"] == (1280,)
        assert found[f"{tower}blocks.0.mlp.fc1.weight"] == (5120, 1280)
        assert found[f"{tower}blocks.0.norm2.bias"] == (1280,)
        assert f"{tower}blocks.32.norm1.weight" not in found
        assert found["mlp1.0.weight"] == (5120,)
        assert found["mlp1.1.weight"] == (20480, 5120)
        assert found["mlp1.3.weight"] == (text, 20480)
        assert not any("vision_final_layernorm" in name for name in found)
    assert plain["language_model.lm_head.weight"] == (131200, 5120)
    assert omni[f"{tower}patch_generator.video_embedder.weight"] == (1280, 1536)
    assert f"{tower}patch_generator.video_embedder.weight" not in plain
