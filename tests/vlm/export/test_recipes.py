"""Recipes: classes of weights, the published tables, what is refused."""

import pytest

from latentvlm.errors import ConfigError
from latentvlm.vlm.checkpoint.families import family_of
from latentvlm.vlm.config import VisionLanguageConfig
from latentvlm.vlm.presets import PRESETS, preset
from latentvlm.vlm.quantize.classes import CLASSES, OTHER, class_of
from latentvlm.vlm.quantize.recipes import (
    RECIPES,
    Recipe,
    before_attention,
    recipe_from_values,
    recipe_named,
    unit_of,
)
from latentvlm.vlm.quantize.releases import RELEASES
from latentvlm.vlm.quantize.weight_formats import FORMATS
from latentvlm.vlm.skeleton import skeleton


@pytest.mark.parametrize(
    "name", ["tiny", "nemotron-3-super-120b-a12b", "nemotron-nano-12b-v2-vl", "jamba-v0.1"]
)
def test_every_matrix_has_a_class(name: str) -> None:
    if name not in PRESETS:
        name = next(each for each in PRESETS if each.startswith("jamba"))
    for ours, tensor in skeleton(preset(name)).state_dict().items():
        found = class_of(ours)
        assert found.name in CLASSES
        if tensor.dim() >= 2 and not ours.endswith("A_log"):
            assert found.name != OTHER, ours


def test_nano_nvfp4_is_the_released_table() -> None:
    release = RELEASES["nemotron-3-nano-30b-a3b-nvfp4"]
    config = preset(release.preset)
    assert not isinstance(config, VisionLanguageConfig)
    family, recipe = family_of(config), RECIPES["nano-nvfp4"]
    counts = {"NVFP4": 0, None: 0}
    for name in skeleton(config).state_dict():
        is_stack = ".experts." in name
        disk = family.disk_name(name, 0 if is_stack else None).removesuffix(".weight")
        form = recipe.format_of(name, config.hybrid_override_pattern)
        found = form.kind if form else None
        assert found == release.algorithm(disk), name
        counts[found] += 1
    assert counts["NVFP4"] == 23 * 4 + 17 * 2
    assert before_attention(config.hybrid_override_pattern) == {4, 11, 18, 25, 32, 41}


def test_super_and_ultra_keep_what_the_releases_keep() -> None:
    config = preset("nemotron-3-super-120b-a12b")
    assert not isinstance(config, VisionLanguageConfig)
    for name in skeleton(config).state_dict():
        of = {
            key: RECIPES[key].format_of(name, config.hybrid_override_pattern)
            for key in ("super-nvfp4", "ultra-nvfp4")
        }
        kinds = {None if form is None else form.kind for form in of.values()}
        if ".mixer.experts." in name and "mtp" not in name:
            assert [of[key].search for key in of if of[key]] == ["mse", "four-over-six"]
        elif "mtp" in name or "latent" in name or "_proj" not in name or "lm_head" in name:
            assert kinds == {None}, name
        elif any(part in name for part in ("in_proj", "out_proj", "shared_experts")):
            assert kinds == {"FP8"}, name
        else:
            assert kinds == {None}, name


def test_the_other_published_tables() -> None:
    """Nano FP8 is Nano NVFP4's table; Nano VL's has every product of the language model."""
    nano = preset("nemotron-3-nano-30b-a3b")
    assert not isinstance(nano, VisionLanguageConfig)
    pattern = nano.hybrid_override_pattern
    for name in skeleton(nano).state_dict():
        fp8, nvfp4 = (RECIPES[key].format_of(name, pattern) for key in ("nano-fp8", "nano-nvfp4"))
        assert (fp8 is None) == (nvfp4 is None), name
        assert fp8 is None or (fp8.kind, fp8.granularity) == ("FP8", "tensor")
    vision = preset("nemotron-nano-12b-v2-vl")
    assert isinstance(vision, VisionLanguageConfig)
    pattern, count = vision.text.hybrid_override_pattern, 0
    for name, tensor in skeleton(vision).state_dict().items():
        is_product = tensor.dim() == 2 and ".mixer." in name and not name.endswith("A_log")
        for key, kind in (("nano-vl-fp8", "FP8"), ("nano-vl-nvfp4", "NVFP4")):
            form = RECIPES[key].format_of(name, pattern)
            assert (form.kind if form else None) == (kind if is_product else None), name
        count += is_product
    assert count == 2 * pattern.count("M") + 2 * pattern.count("-") + 4 * pattern.count("*")
    assert not RECIPES["nano-vl-fp8"].kv_cache and RECIPES["nano-fp8"].kv_cache == "FP8"
    jamba = preset(next(each for each in PRESETS if each.startswith("jamba")))
    assert not isinstance(jamba, VisionLanguageConfig)
    for name in skeleton(jamba).state_dict():
        form = RECIPES["experts-int8"].format_of(name, jamba.hybrid_override_pattern)
        assert (form is not None) == (".experts." in name), name


def test_units_hold_together_what_readers_join() -> None:
    layer = "language_model.layers.7.mixer"
    assert len({unit_of(f"{layer}.{part}_proj.weight") for part in "qkv"}) == 1
    assert unit_of(f"{layer}.o_proj.weight") != unit_of(f"{layer}.q_proj.weight")
    assert unit_of(f"{layer}.experts.up_proj") == unit_of(f"{layer}.experts.down_proj")
    up, gate = (unit_of(f"{layer}.shared_experts.{p}_proj.weight") for p in ("up", "gate"))
    assert up == gate != unit_of(f"{layer}.shared_experts.down_proj.weight")


def test_a_recipe_goes_to_json_and_back() -> None:
    recipe = RECIPES["ultra-nvfp4"].changed(["latent=fp8", "mlp=keep", "head=w4a16-nvfp4"])
    again = recipe_from_values(recipe.as_values(), "file")
    assert again == recipe and "mlp" not in again.formats
    assert again.formats["latent"].kind == "FP8"


def test_a_change_of_a_class_goes_before_what_was_found_for_its_layers() -> None:
    layers = {"3.experts": FORMATS["nvfp4"], "0.mamba-in": None, "3.shared-expert.up_proj": None}
    found = Recipe(name="auto", formats={}, layers=layers)
    changed = found.changed(["experts=fp8", "shared-expert=keep"])
    names = [
        "layers.3.mixer.experts.up_proj",
        "layers.0.mixer.in_proj.weight",
        "layers.3.mixer.shared_experts.up_proj.weight",
    ]
    formats = [changed.format_of(name, "M*-E") for name in names]
    assert formats == [FORMATS["fp8"], None, None]
    assert changed.layers == {"0.mamba-in": None}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: recipe_named("super-nvfp"), "did you mean 'super-nvfp4'"),
        (lambda: Recipe(name="mine", formats={"vision": RECIPES["nano-fp8"].formats["mlp"]}),
         "names vision, which cannot be quantized"),
        (lambda: Recipe(name="mine", formats={"expert": RECIPES["nano-fp8"].formats["mlp"]}),
         "names expert, which is no class"),
        (lambda: RECIPES["nano-fp8"].changed(["mlp=fp9"]), "'mlp=fp9' is no CLASS=FORMAT"),
        (lambda: RECIPES["nano-fp8"].changed(["expert=keep"]), "did you mean 'experts'"),
        (lambda: RECIPES["nano-fp8"].changed(["mtp=fp8"]), "mtp of 'mtp=fp8' cannot be quantized"),
        (lambda: recipe_from_values({"name": "x"}, "a.json"), "a.json holds no recipe"),
    ],
)  # fmt: skip
def test_what_is_refused(make, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make()
