"""What training begins with: tubelets seen as pictures, and questions whose answers say least."""

from pathlib import Path

import pytest
import torch

from latentvlm.data.processor import Processor
from latentvlm.data.synthetic import GeneratorConfig
from latentvlm.vlm.train.examples import AnswerExamples
from latentvlm.vlm.train.plan import SyntheticPlan
from latentvlm.vlm.train.recipe import parse_recipe
from latentvlm.vlm.train.setup import make_trainee, warm_start
from latentvlm.vlm.train.stage import MixtureEntry
from latentvlm.vlm.train.state import save_checkpoint

STAGE = {
    "name": "watch", "task": "answers", "steps": 1, "learning_rates": {"projector": 1e-3},
    "data": [{"config": {"level": "line"}}],
}  # fmt: skip


def recipe(output: Path, seed: int, **changes):
    values = {"name": "start", "seed": seed, "preset": "tiny", "output": str(output)}
    return parse_recipe(values | {"stages": [STAGE]} | changes)


@pytest.mark.parametrize("new", [True, False])
def test_a_tower_of_pictures_sees_equal_frames_as_one_of_them(tmp_path: Path, new: bool) -> None:
    save_checkpoint(
        tmp_path / "old" / "checkpoints",
        module=make_trainee(recipe(tmp_path / "old", 3)),
        optimizers=[],
        state={"total_step": 1},
    )
    start = [{"run": str(tmp_path / "old"), "new_tubelets": new}]
    later = recipe(tmp_path / "new", 4, start=start)
    trainee = make_trainee(later)
    warm_start(later, trainee)
    tower = trainee.model.vision_encoder
    frames = trainee.model.config.frames_per_tubelet
    torch.manual_seed(0)
    picture = torch.randn(24, 3 * trainee.model.config.vision.patch_size**2)
    with torch.no_grad():
        seen = tower(picture, torch.tensor([[4, 6]]))
        watched = tower.encode_tubelets(picture.repeat(1, frames), torch.tensor([[1, 4, 6]]))
    assert torch.allclose(watched, seen, atol=1e-5) == new


def test_half_of_the_conversations_ask_first_what_says_least(tiny_folder) -> None:
    config = GeneratorConfig(level="small", font_sizes=(13, 16), widths=(224, 288))
    plan = SyntheticPlan(
        seed=1, stage="s", mixture=(MixtureEntry(config=config),), documents_per_shard=60
    )
    make = AnswerExamples(Processor.from_folder(tiny_folder), questions=6, char_targets=False)
    says = {"yes_no": 0, "read_line": 2, "transcribe": 2}
    ordered, mixed = 0, 0
    for record in plan.records(0):
        example = make(record)
        assert example is not None
        asked = [says.get(kind, 1) for kind in example.kinds]
        if len(set(asked)) > 1:
            ordered += asked == sorted(asked)
            mixed += 1
    assert 0.25 * mixed < ordered < 0.75 * mixed  # shuffled alone, hardly any would be
