"""`auto`: a budget, what was measured of every layer, and what was chosen by it."""

import math
from pathlib import Path

import pytest

from latentvlm.errors import ConfigError
from latentvlm.vlm.export.budget import Budget, Choice, choose
from latentvlm.vlm.export.export import export
from latentvlm.vlm.quantize.weight_formats import FORMATS

QUICK = {"num_prompts": 1, "num_held_out": 1, "num_answers": 0}


def test_a_budget_that_cannot_be_met(original: Path, tmp_path: Path) -> None:
    """Before anything is measured."""

    def never(what: str, done: int, total: int) -> None:
        raise AssertionError(what)

    out = tmp_path / "out"
    with pytest.raises(ConfigError, match=r"budget of 3 bits .* take 4\.\d+ at least"):
        export(original, out, recipe="auto", budget=Budget(bits=3), notify=never, **QUICK)
    with pytest.raises(ConfigError, match=r"cannot be met: these formats take 6\.\d+ at least"):
        export(original, out, recipe="auto", changes=["experts=keep"], notify=never, **QUICK)
    sixteen = Budget(bits=16, formats=("fp8",))
    with pytest.raises(ConfigError, match="A budget of 16 bits .* leaves every layer as it is"):
        export(original, out, recipe="auto", budget=sixteen, **QUICK)
    for bits in (math.nan, math.inf, -1.0, 0.0):
        with pytest.raises(ConfigError, match="must be a number above 0"):
            Budget(bits=bits)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ConfigError, match="auto cannot choose 'keep'"):
        Budget(formats=("keep",))


def test_auto_spends_its_budget_where_it_helps_most(original: Path, tmp_path: Path) -> None:
    fp8, nvfp4 = FORMATS["fp8"], FORMATS["nvfp4"]

    def found(error: float) -> list[Choice]:
        return [
            Choice(form=None, bits=16, error=0),
            Choice(form=fp8, bits=8, error=error / 10),
            Choice(form=nvfp4, bits=4.5, error=error),
        ]

    choices = {"a": found(1.0), "b": found(0.01), "c": found(0.1)}
    chosen = choose(choices, {"a": 100, "b": 100, "c": 100}, 6.0)
    assert [chosen[unit].form for unit in "abc"] == [fp8, nvfp4, nvfp4]
    chosen = choose(choices, {"a": 100, "b": 100, "c": 100}, 16.0)
    assert [chosen[unit].form for unit in "abc"] == [None] * 3
    budget = Budget(bits=8.0, formats=("nvfp4", "fp8"))  # the search for scales takes long
    made = export(
        original, tmp_path / "out", recipe="auto", budget=budget, changes=["mlp=keep"], **QUICK
    )
    recipe = made.plan.recipe
    assert made.proof.holds and len({*map(str, recipe.layers.values())}) > 1
    found = made.proof.search
    bits = {"FP8": 8, "NVFP4": 4.5, "keep": 16}
    spent = sum(bits[unit["chosen"]] * unit["parameters"] for unit in found["units"])
    assert found["budget"] == 8 >= found["bits"]
    assert found["bits"] * sum(unit["parameters"] for unit in found["units"]) == spent
    layers = [e for e in made.plan.entries if e.parts and ".layers." in e.name and e.form]
    written = {entry.name for entry in layers}
    for unit in found["units"]:
        layer, kind = unit["unit"].split(".")[:2]
        if kind == "mlp":
            assert unit["errors"] == {"keep": 0} and not any(
                name.startswith(f"language_model.layers.{layer}.") for name in written
            )
        else:
            assert 0 < unit["errors"]["FP8"] < unit["errors"]["NVFP4"]
    table = made.proof.as_markdown()
    assert "| unit | parameters | chosen | NVFP4 | FP8 |" in table
    assert f"| {found['units'][0]['unit']} | " in table
