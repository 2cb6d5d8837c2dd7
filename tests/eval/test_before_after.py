"""A distillation run set beside plain export: one command, from training to the model's card."""

import json
from pathlib import Path

import pytest
import torch
from support.tiny_model import tiny_config, write_tiny_model

from latentvlm.app.cli import main
from latentvlm.errors import CheckpointError, ConfigError, DataError
from latentvlm.eval.before_after import compare_exports, write_into_card
from latentvlm.vlm.checkpoint import load_model
from latentvlm.vlm.train.recipe import parse_recipe

CARD = "# A model\n\nIts words.\n\n## Limits\n\nMany.\n"
LINE = {"level": "line", "font_sizes": [12, 12], "fonts": ["arimo"]}


def values(folder: Path) -> dict:
    model = folder / "model"
    stage = {
        "name": "distill", "task": "distill", "data": [{"config": LINE}], "steps": 2,
        "distill": {"teacher": str(model), "quantize": {"recipe": "nano-vl-nvfp4",
                    "calibration": 2}},
        "learning_rates": {"language_model": 1e-3}, "rows": {"tokens": 200, "patches": 400},
        "log_every": 1,
    }  # fmt: skip
    return {
        "name": "small", "seed": 3, "preset": "start", "output": str(folder / "run"),
        "start": [{"model": str(model)}], "stages": [stage],
        "data": {"workers": 0, "documents_per_shard": 4},
    }  # fmt: skip


def test_distil_compare_and_write_the_card(tmp_path: Path, capsys) -> None:
    config = tiny_config(moe_intermediate_size=32)
    write_tiny_model(tmp_path / "model", config=config, dtype=torch.bfloat16)
    (tmp_path / "model" / "README.md").write_text(CARD)
    (tmp_path / "recipe.yaml").write_text(json.dumps(values(tmp_path)))
    arguments = ["distill", str(tmp_path / "recipe.yaml"), "--questions", "2", "--prompts", "1",
                 "--device", "cpu", "--card", str(tmp_path / "model")]  # fmt: skip
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    assert exit.value.code == 0
    run = tmp_path / "run"
    result = json.loads((run / "before-after.json").read_text())
    found = result["results"]
    names = ["bf16", "before", "before-inputs", "after", "after-inputs"]
    assert list(found) == names and result["questions"] == 4
    assert abs(found["bf16"]["kl"]) < 1e-6 and found["bf16"]["agreement"] == 1
    assert all(found[name]["kl"] > 1e-4 for name in names[1:])
    assert found["before"]["kl"] != found["after"]["kl"] != found["after-inputs"]["kl"]
    assert found["before"]["bits"] == found["after"]["bits"] < 16
    assert json.loads((run / "export" / "proof.json").read_text())["verdict"] == "proven"
    assert load_model(run / "export").language_model.is_packed  # type: ignore[union-attr]
    card = (tmp_path / "model" / "README.md").read_text()
    table = (run / "before-after.md").read_text().strip()
    assert table in card and table in capsys.readouterr().out
    assert card.index("distillation:end") < card.index("## Limits")
    write_into_card(tmp_path / "model", result)
    assert (tmp_path / "model" / "README.md").read_text() == card
    (tmp_path / "model" / "README.md").unlink()
    with pytest.raises(DataError, match="write the card of scores first"):
        write_into_card(tmp_path / "model", result)


def test_a_recipe_without_distillation_is_refused_before_it_trains(tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit) as exit:
        main(["distill", "default-cpu"])
    assert exit.value.code == 2 and "no distill stage" in capsys.readouterr().err
    (tmp_path / "recipe.yaml").write_text(json.dumps(values(tmp_path)))
    with pytest.raises(SystemExit) as exit:
        main(["distill", str(tmp_path / "recipe.yaml"), "--card", str(tmp_path)])
    assert exit.value.code == 2 and "write the card" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_compared_is_told(tmp_path: Path) -> None:
    given = values(tmp_path)
    with pytest.raises(CheckpointError, match="has no model yet"):
        compare_exports(parse_recipe(given))
    given["stages"][0]["distill"].pop("quantize")
    with pytest.raises(ConfigError, match="no distill stage with quantize"):
        compare_exports(parse_recipe(given))
    given = values(tmp_path) | {"preset": "tiny"}
    with pytest.raises(ConfigError, match="need preset: start"):
        compare_exports(parse_recipe(given))
