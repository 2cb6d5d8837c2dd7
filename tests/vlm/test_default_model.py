"""The model that ships: within its limits of size, with a card, reading from the pixels alone."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import latentvlm
from latentvlm.data.synthetic import blank
from latentvlm.data.synthetic.sample import QUESTION, SAMPLE_FOLDER, sample_document
from latentvlm.vlm.vlm import VLM

FOLDER = Path(latentvlm.__file__).parent / "vlm" / "pretrained" / "default"
ANSWER = next(
    qa.answer for qa in sample_document().qas if qa.kind == "field" and "total" in qa.question
)


@pytest.fixture(scope="module")
def vlm() -> VLM:
    return latentvlm.load()


def test_it_is_small_enough_to_ship(vlm: VLM) -> None:
    sizes = {path.name: path.stat().st_size for path in FOLDER.iterdir()}
    assert sum(sizes.values()) <= 40e6
    assert max(size for name, size in sizes.items() if name.endswith("s")) <= 15 * 2**20
    assert sum(p.numel() for p in vlm.model.parameters()) <= 20e6
    config = json.loads((FOLDER / "config.json").read_text())
    assert config["architectures"] == ["NemotronH_Omni_Reasoning_V3"]


def test_its_card_has_measured_scores() -> None:
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    for part in ("## Training", "## Scores", "## Limits", "rival"):
        assert part in card
    assert "%" in card.split("<!-- scores:begin -->")[1].split("<!-- scores:end -->")[0]


@pytest.mark.parametrize("name", ["invoice.png", "invoice.pdf"])
def test_it_reads_the_sample(vlm: VLM, name: str) -> None:
    answer = vlm.ask(QUESTION, SAMPLE_FOLDER / name)
    assert answer.text == ANSWER
    assert answer.usage.visual_tokens > 0


def test_a_blank_page_does_not_give_the_answer(vlm: VLM) -> None:
    page = Image.fromarray(np.asarray(blank(sample_document()).image))
    assert ANSWER not in vlm.ask(QUESTION, page).text
