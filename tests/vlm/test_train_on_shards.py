"""A recipe that reads shards of pages of one's own, alone or beside drawn documents."""

import json
import shutil
from pathlib import Path

import pytest

from latentvlm.app.cli import main
from latentvlm.errors import ConfigError, DataError
from latentvlm.vlm.train.recipe import parse_recipe
from latentvlm.vlm.train.run import run_recipe
from latentvlm.vlm.train.sources import stage_source

SAMPLE = Path(__file__).parents[2] / "data" / "samples" / "invoice.png"
LINE = {"level": "line", "font_sizes": [12, 12], "fonts": ["arimo"]}


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    shutil.copy(SAMPLE, tmp_path)
    lines = [
        {"file": SAMPLE.name, "question": f"What is the total of {n}?", "answer": "$28.21"}
        for n in range(6)
    ]
    (tmp_path / "q.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(SystemExit) as exit:
        main(["data", "pack", str(tmp_path / "q.jsonl"), str(tmp_path / "shards")])
    assert exit.value.code == 0
    return tmp_path / "shards"


def values(shards: Path, data: list[dict]) -> dict:
    rates = {"vision_encoder": 1e-3, "projector": 1e-3, "language_model": 1e-3}
    return {
        "name": "own", "seed": 1, "preset": "tiny", "output": str(shards.parent / "run"),
        "tokenizer": {"vocab_size": 288, "documents": 4},
        "data": {"workers": 0, "documents_per_shard": 4},
        "stages": [{
            "name": "own", "task": "answers", "data": data, "steps": 3, "learning_rates": rates,
            "rows": {"tokens": 1024, "patches": 4096}, "log_every": 1, "warmup_steps": 1,
            "evaluation": {"shards": str(shards), "documents": 1, "every": 3},
        }],
    }  # fmt: skip


def test_a_run_learns_from_own_pages_and_is_measured_on_them(shards: Path) -> None:
    recipe = shards.parent / "recipe.yaml"
    recipe.write_text(json.dumps(values(shards, [{"shards": str(shards)}])))
    assert run_recipe(recipe, show=False, device="cpu", threads=1).finished
    lines = (shards.parent / "run" / "log.jsonl").read_text().splitlines()
    log = [json.loads(line) for line in lines]
    evaluated = [each for each in log if each["kind"] == "evaluation"]
    assert evaluated and "exact asked" in evaluated[-1]
    tokenizer = json.loads((shards.parent / "run/processor/tokenizer.json").read_text())
    assert len(tokenizer["model"]["vocab"]) <= 288
    assert list(shards.glob("*.tar")), "shards that were given are kept"
    # Going on from the run, or from its model, takes its vocabulary too.
    for start in ({"run": str(shards.parent / "run")}, {"model": str(shards.parent / "run/model")}):
        again = values(shards, [{"shards": str(shards)}]) | {"start": [start]}
        del again["tokenizer"]
        again["output"] = str(shards.parent / f"again-{next(iter(start))}")
        recipe.write_text(json.dumps(again))
        assert run_recipe(recipe, show=False, device="cpu", threads=1).finished


def test_own_pages_come_beside_drawn_ones(shards: Path) -> None:
    data = [{"shards": str(shards), "weight": 1}, {"config": LINE, "weight": 2}]
    recipe = parse_recipe(values(shards, data))
    source = stage_source(recipe, recipe.stages[0])
    own = [str(source.path(shard)).startswith(str(shards)) for shard in range(6)]
    source.close()
    assert sum(own) == 2


def test_data_is_drawn_or_read_and_folders_must_be_there(shards: Path, tmp_path: Path) -> None:
    for data in ([{}], [{"shards": str(shards), "config": LINE}]):
        with pytest.raises(ConfigError, match=r"data\[0\]: give config .* or shards"):
            parse_recipe(values(shards, data))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps(values(shards, [{"shards": str(tmp_path / "none")}])))
    with pytest.raises(DataError, match="none holds no .tar shard"):
        run_recipe(recipe, show=False)
    assert not (tmp_path / "run").exists()
