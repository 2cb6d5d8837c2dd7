"""What we write, transformers opens: the same ids, grids, pixels, logits and greedy tokens.

transformers runs in a process of its own that never imports latentvlm.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

import latentvlm
from latentvlm.data.processor import Processor
from latentvlm.vlm.cache import Cache
from latentvlm.vlm.checkpoint import load_model
from latentvlm.vlm.model import VisionLanguageModel

PROGRAM = Path(__file__).parents[1] / "support" / "transformers_opens.py"
SHIPPED = Path(latentvlm.__file__).parent / "vlm" / "pretrained" / "default"
NUM_GREEDY = 32

# one request each: the sizes (height, width) of its pictures and its question
REQUESTS = [
    ([], "How many rows are in the table? 12,50"),
    ([(64, 96)], "What is the total?"),
    ([(16, 16), (33, 200), (200, 31)], "Which of these is the invoice?"),
    ([(7, 150)], "Read this line."),
    ([(401, 300), (90, 90)], "Compare them, please.\n"),
]


@pytest.fixture(scope="module", params=["random", "shipped"])
def folder(request: pytest.FixtureRequest, tiny_folder: Path) -> Path:
    """A model with every kind of block and random weights, and the one the package ships."""
    return tiny_folder if request.param == "random" else SHIPPED


@pytest.fixture(scope="module")
def opened(folder: Path, tmp_path_factory: pytest.TempPathFactory):
    """Requests, and transformers' answers to them with the names it complained of."""
    work = tmp_path_factory.mktemp("requests")
    random = np.random.default_rng(0)
    requests = []
    for number, (sizes, question) in enumerate(REQUESTS):
        parts = []
        for idx, size in enumerate(sizes):
            path = work / f"{number}-{idx}.png"
            Image.fromarray(random.integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
            parts.append({"type": "image", "image": str(path)})
        parts.append({"type": "text", "text": question})
        requests.append([{"role": "user", "content": parts}])
    (work / "requests.json").write_text(json.dumps(requests))
    subprocess.run(
        [sys.executable, PROGRAM, folder, work / "requests.json", work / "out.safetensors"],
        cwd=work,
        check=True,
        capture_output=True,
    )
    with safe_open(str(work / "out.safetensors"), framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        names = {key: json.loads(value) for key, value in file.metadata().items()}
    for request in requests:
        for part in request[0]["content"]:
            if part["type"] == "image":
                part["image"] = Image.open(part["image"])
    return requests, tensors, names


@pytest.fixture(scope="module")
def model(folder: Path) -> VisionLanguageModel:
    model = load_model(folder, dtype=torch.float32)
    assert isinstance(model, VisionLanguageModel)
    return model


@pytest.fixture(scope="module")
def processor(folder: Path, model: VisionLanguageModel) -> Processor:
    length = model.config.text.max_position_embeddings
    return Processor.from_folder(folder, context_length=length)


def test_no_name_is_missing_and_none_unexpected(opened):
    _, _, names = opened
    assert names["missing"] == []
    assert [name for name in names["unexpected"] if "mtp." not in name] == []


@pytest.mark.parametrize("number", range(len(REQUESTS)))
def test_the_same_inputs(opened, processor: Processor, number: int):
    requests, tensors, _ = opened
    inputs = processor(requests[number])
    assert inputs.input_ids.tolist() == tensors[f"{number}.input_ids"].tolist()
    if inputs.image_grid_hw is None:
        assert f"{number}.pixel_values" not in tensors
        return
    assert inputs.image_grid_hw.tolist() == tensors[f"{number}.image_grid_hw"].tolist()
    torch.testing.assert_close(
        inputs.pixel_values, tensors[f"{number}.pixel_values"], atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("number", range(len(REQUESTS)))
@torch.no_grad()
def test_the_same_logits_and_greedy_tokens(opened, processor, model, number: int):
    requests, tensors, _ = opened
    inputs = processor(requests[number])
    theirs = tensors[f"{number}.logits"]
    cache = Cache.allocate(model.config.text)
    logits = model(
        inputs.input_ids,
        pixel_values=inputs.pixel_values,
        image_grid_hw=inputs.image_grid_hw,
        cache=cache,
    )
    # float32 through a few layers; the scale is the largest logit
    assert (logits - theirs).abs().max() <= 1e-4 * theirs.abs().max()
    generated = []
    for _ in range(NUM_GREEDY):
        token = logits[-1:].argmax(-1)
        generated.append(int(token))
        logits = model(token, cache=cache)
    assert generated == tensors[f"{number}.generated"].tolist()
    assert len(set(generated)) > 1, "a constant answer would show nothing"
