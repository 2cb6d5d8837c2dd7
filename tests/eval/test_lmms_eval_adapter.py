"""The adapter within lmms-eval where it is installed, and against the interface it publishes.

The base class here has the same constructor, attributes and abstract methods as
`lmms_eval.api.model.lmms` at commit 75571cfe; a request is its `Instance` as far as models use it.
"""

import abc
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image
from support.lmms_eval_task import NAME, QUESTIONS, write_task

import latentvlm
from latentvlm.errors import ConfigError, LatentVLMError, MissingDependencyError
from latentvlm.eval import lmms_eval_adapter
from latentvlm.eval.lmms_eval_adapter import make_adapter

INVOICE = Path(latentvlm.__file__).parent / "data" / "samples" / "invoice.png"


class Hook:
    def __init__(self) -> None:
        self.seen: list[tuple] = []

    def add_partial(self, attr: str, req: tuple, res: str) -> None:
        self.seen.append((attr, req, res))


class Base(abc.ABC):
    is_simple = True

    def __init__(self) -> None:
        self._rank = 0
        self._world_size = 1
        self.cache_hook = Hook()
        self.task_dict: dict = {}

    @abc.abstractmethod
    def loglikelihood(self, requests): ...

    @abc.abstractmethod
    def generate_until(self, requests): ...

    @abc.abstractmethod
    def generate_until_multi_round(self, requests): ...

    @classmethod
    def create_from_arg_string(cls, arg_string: str, additional_config=None):
        pairs = (each.split("=", 1) for each in arg_string.split(",") if each)
        extra = {k: v for k, v in (additional_config or {}).items() if v is not None}
        return cls(**dict(pairs), **extra)


def instance(doc_id: int, question: str, **settings) -> SimpleNamespace:
    args = (question, {"max_new_tokens": 16, "temperature": 0, **settings},
            lambda row: [row["image"]], doc_id, "docvqa_val", "validation")  # fmt: skip
    return SimpleNamespace(args=args)


@pytest.fixture(scope="module")
def model():
    kind = make_adapter(Base)
    made = kind.create_from_arg_string("dtype=float32", {"batch_size": 1, "device": "cpu"})
    rows = {idx: {"image": Image.open(INVOICE).convert("RGB")} for idx in range(2)}
    made.task_dict = {"docvqa_val": {"validation": rows}}
    return made


def test_requests_are_answered_in_their_order(model) -> None:
    found = model.generate_until(
        [instance(1, "What is the total?"), instance(0, "Who is it from?")]
    )
    vlm = latentvlm.load(device="cpu", dtype="float32")
    expected = [vlm.ask(q, INVOICE).text for q in ("What is the total?", "Who is it from?")]
    assert found == expected
    assert [each[0] for each in model.cache_hook.seen] == ["generate_until"] * 2
    (cut,) = model.generate_until([instance(1, "What is the total?", until=["."])])
    assert cut == expected[0].split(".")[0] != expected[0]


def test_what_it_cannot_do_is_said(model) -> None:
    with pytest.raises(NotImplementedError, match="generate_until"):
        model.loglikelihood([])
    with pytest.raises(NotImplementedError, match="one round"):
        model.generate_until_multi_round([])
    with pytest.raises(ConfigError, match="max_pixels, which are unknown"):
        make_adapter(Base).create_from_arg_string("max_pixels=5")
    with pytest.raises(LatentVLMError):
        make_adapter(Base).create_from_arg_string("pretrained=/nowhere")


@pytest.mark.slow
def test_lmms_eval_itself_runs_a_task_with_our_model(tmp_path: Path) -> None:
    pytest.importorskip("lmms_eval", reason="lmms-eval is not installed")
    pytest.importorskip("pyarrow")
    vlm = latentvlm.load(device="cpu", dtype="float32")
    said = [
        vlm.ask(q, INVOICE, generation=latentvlm.GenerationConfig(max_tokens=16)).text
        for q in QUESTIONS
    ]
    write_task(tmp_path / "task", (said[0], "not this"))
    command = [sys.executable, "-m", "lmms_eval", "--model", "latentvlm", "--model_args"]
    command += ["dtype=float32", "--device", "cpu", "--batch_size", "1", "--tasks", NAME]
    command += ["--include_path", str(tmp_path / "task"), "--log_samples"]
    command += ["--output_path", str(tmp_path / "out")]
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    done = subprocess.run(command, env={**os.environ, **offline}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    (results,) = (tmp_path / "out").rglob("*_results.json")
    assert json.loads(results.read_text())["results"][NAME]["right,none"] == 0.5
    (samples,) = (tmp_path / "out").rglob(f"*_samples_{NAME}.jsonl")
    lines = [json.loads(line) for line in samples.read_text().splitlines()]
    assert sorted(line["filtered_resps"] for line in lines) == sorted(said)


def test_without_lmms_eval_one_sentence_says_so() -> None:
    try:
        import lmms_eval  # noqa: F401
    except ImportError:
        with pytest.raises(MissingDependencyError, match="pip install lmms-eval"):
            lmms_eval_adapter.LatentVLM  # noqa: B018
    with pytest.raises(AttributeError):
        lmms_eval_adapter.Other  # noqa: B018
