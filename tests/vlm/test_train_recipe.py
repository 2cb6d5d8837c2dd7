"""Recipes: the shipped ones are whole, and every mistake is named before anything starts."""

import pytest

from latentvlm.errors import ConfigError
from latentvlm.vlm.train.recipe import parse_recipe, read_recipe
from latentvlm.vlm.train.run import RECIPES


def values(**changes) -> dict:
    stage = {
        "name": "tower",
        "task": "tower",
        "data": [{"config": {"level": "glyphs"}}],
        "steps": 10,
        "learning_rates": {"vision_encoder": 1e-3},
    }
    stage |= changes.pop("stage", {})
    return {"name": "x", "seed": 1, "preset": "tiny", "output": "out", "stages": [stage], **changes}


def test_defaults_and_nesting():
    recipe = parse_recipe(values(stage={"rows": {"patches": 64}, "learning_rates":
                                        {"vision_encoder": "1e-3"}}))  # fmt: skip
    stage = recipe.stages[0]
    assert stage.rows.patches == 64 and stage.rows.tokens == 4096
    assert stage.learning_rates.vision_encoder == 1e-3  # YAML 1.1 reads 1e-3 as text
    assert stage.data[0].config.level == "glyphs" and stage.data[0].weight == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sead": 1}, "unknown key 'sead'; did you mean 'seed'"),
        ({"stage": {"learning_rate": 1}}, r"stages\[0\] has .*'learning_rate'; did you mean"),
        ({"stage": {"steps": "many"}}, r"stages\[0\]\.steps must be of type int"),
        ({"stage": {"steps": 0}}, r"stages\[0\]: steps must be at least 1"),
        ({"stage": {"task": "towers"}}, r"'towers'; did you mean 'tower'"),
        ({"stage": {"data": []}}, "data must have at least one entry"),
        ({"stage": {"data": [{"config": {"level": "glyph"}}]}}, r"data\[0\]\.config.*glyphs"),
        ({"stage": {"data": [{"config": {}, "weight": 0}]}}, "weight must be above 0"),
        ({"stage": {"learning_rates": {}}}, "at least one part"),
        ({"stage": {"learning_rates": {"projector": 1e-3}}}, "tower trains vision_encoder"),
        ({"stage": {"rows": {"tokens": 1.5}}}, r"rows\.tokens must be of type int"),
        ({"stages": []}, "stages must have at least one entry"),
        ({"stages": {}}, "stages must be a list"),
        ({"precision": "float16"}, "'float16'; did you mean"),
    ],
)
def test_mistakes_are_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        parse_recipe(values(**changes))


def test_missing_key_and_names_used_twice():
    whole = values()
    del whole["preset"]
    with pytest.raises(ConfigError, match="lacks the key 'preset'"):
        parse_recipe(whole)
    twice = values()
    twice["stages"] *= 2
    with pytest.raises(ConfigError, match="'tower' is used more than once"):
        parse_recipe(twice)


def test_files(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_recipe(tmp_path / "none.yaml")
    path = tmp_path / "bad.yaml"
    path.write_text("a: [")
    with pytest.raises(ConfigError, match="not valid YAML"):
        read_recipe(path)


def test_shipped_recipes_are_valid():
    paths = list(RECIPES.glob("*.yaml"))
    assert sorted(path.stem for path in paths) == ["default", "default-cpu", "qad-nvfp4"]
    for path in paths:
        recipe = read_recipe(path)
        assert recipe.preset == ("start" if path.stem == "qad-nvfp4" else path.stem)
        held_out = [s.evaluation.data.split for s in recipe.stages if s.evaluation]
        assert held_out and set(held_out) == {"heldout"}
