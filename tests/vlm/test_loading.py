"""`load()`: devices, number formats, models of text alone, and the model in the package."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny_model import tiny_config

import latentvlm
from latentvlm.data.tokenizer import TOKENIZER_FILES
from latentvlm.errors import BackendError, CheckpointError, ConfigError, InputError
from latentvlm.vlm import api, device, loading
from latentvlm.vlm.checkpoint import save_model
from latentvlm.vlm.device import choose_device, choose_dtype, dtype_named
from latentvlm.vlm.language_model import LanguageModel
from latentvlm.vlm.loading import read_end_ids, read_stored_dtype
from latentvlm.vlm.model import VisionLanguageModel
from latentvlm.vlm.ops import linear
from latentvlm.vlm.sampling import GenerationConfig

CPU, SHORT = torch.device("cpu"), GenerationConfig(max_tokens=4)


@pytest.fixture
def old_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU without bfloat16 units, whatever this one has."""
    for module in (linear, device, loading):
        monkeypatch.setattr(module, "cpu_multiplies_bfloat16", lambda: False)


def test_without_a_shipped_model_a_folder_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "PRETRAINED", tmp_path)
    with pytest.raises(CheckpointError, match="no model in .* give the folder"):
        latentvlm.load()


def test_the_shipped_model_is_the_default(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "PRETRAINED", tiny_folder)
    assert latentvlm.load(device="cpu").ask("Who?", generation=SHORT).usage.answer_tokens <= 4


@pytest.mark.usefixtures("old_cpu")
def test_a_cpu_without_bfloat16_units_gets_float32(tiny_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "model"))
    text = (folder / "config.json").read_text().replace('"float32"', '"bfloat16"')
    (folder / "config.json").write_text(text)
    assert read_stored_dtype(folder) == torch.bfloat16
    vlm = api.load(folder, device="cpu")
    assert {each.dtype for each in vlm.model.parameters()} == {torch.float32}


@pytest.mark.usefixtures("old_cpu")
def test_bfloat16_asked_for_there_is_kept_in_the_language_model_only(tiny_folder: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (48, 80, 3), dtype=np.uint8)
    wide = api.load(tiny_folder, device="cpu", dtype="float32")
    narrow = api.load(tiny_folder, device="cpu", dtype="bfloat16")
    assert isinstance(narrow.model, VisionLanguageModel)
    assert narrow.model.language_model.lm_head.weight.dtype == torch.bfloat16
    assert {each.dtype for each in narrow.model.vision_encoder.parameters()} == {torch.float32}
    exact = wide.score("What is the total?", "It is 12.", picture)
    rough = narrow.score("What is the total?", "It is 12.", picture)
    # Eight bits of mantissa through ten layers of random weights.
    assert rough.logprobs == pytest.approx(exact.logprobs, abs=0.5)
    assert rough.logprobs != exact.logprobs
    assert narrow.ask("Who?", picture, generation=SHORT).usage.answer_tokens <= 4


def test_the_stored_format_is_kept_where_it_is_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "cpu_multiplies_bfloat16", lambda: True)
    assert choose_dtype(None, CPU, stored=torch.bfloat16) == torch.bfloat16
    assert choose_dtype(None, CPU, stored=torch.float16) == torch.float32
    assert choose_dtype(None, CPU) == torch.float32
    assert choose_dtype(torch.bfloat16, CPU) == choose_dtype("bfloat16", CPU) == torch.bfloat16
    assert dtype_named("torch.bfloat16") == dtype_named("bfloat16") == torch.bfloat16


@pytest.mark.parametrize("dtype", ["int8", "float8", torch.int64, "float16", 3])
def test_a_format_that_cannot_be(tiny_folder: Path, dtype) -> None:
    with pytest.raises(ConfigError, match="dtype is "):
        api.load(tiny_folder, device="cpu", dtype=dtype)


def test_a_device_that_cannot_be(tiny_folder: Path) -> None:
    with pytest.raises(ConfigError, match="device is 'gpu'"):
        api.load(tiny_folder, device="gpu")
    with pytest.raises(BackendError, match="device is 'cuda:99' .* use device='cpu'"):
        api.load(tiny_folder, device="cuda:99")
    with pytest.raises(BackendError, match="never run"):
        choose_device("meta")


@pytest.fixture
def text_folder(tmp_path: Path) -> Path:
    """A model of text alone, without any text file."""
    torch.manual_seed(0)
    save_model(LanguageModel(tiny_config().text), tmp_path / "text")
    return tmp_path / "text"


def test_a_text_model_without_tokenizer_gives_logits(text_folder: Path) -> None:
    vlm = api.load(text_folder, device="cpu", dtype="float32")
    assert vlm.logits(input_ids=torch.tensor([[1, 40, 41]])).shape == (3, 320)
    with pytest.raises(CheckpointError, match="tokenizer.json"):
        vlm.ask("Who?")


def test_a_text_model_answers_but_sees_nothing(text_folder: Path, tiny_folder: Path) -> None:
    for name in TOKENIZER_FILES:
        shutil.copyfile(tiny_folder / name, text_folder / name)
    vlm = api.load(text_folder, device="cpu", dtype="float32")
    answer = vlm.ask("Who?", generation=SHORT)
    assert answer.usage.visual_tokens == 0
    assert answer.usage.answer_tokens == 4
    with pytest.raises(InputError, match="reads text only"):
        vlm.ask("Who?", np.zeros((16, 16, 3), dtype=np.uint8))


def test_end_tokens_of_both_configurations_count(text_folder: Path) -> None:
    (text_folder / "generation_config.json").write_text('{"eos_token_id": [2, 7]}')
    assert read_end_ids(text_folder, tiny_config().text, None) == {2, 7, 11}
    assert read_end_ids(text_folder, tiny_config(eos_token_id=(3, 4)).text, None) == {2, 3, 4, 7}
    (text_folder / "generation_config.json").unlink()
    assert read_end_ids(text_folder, tiny_config(eos_token_id=None).text, None) == set()
