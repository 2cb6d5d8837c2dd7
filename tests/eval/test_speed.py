"""The comparison's own machinery, on a model that takes no time."""

import json

import pytest
import torch

from latentvlm.app.cli import main
from latentvlm.errors import BackendError
from latentvlm.eval.contenders import Ours, Transformers, active_weights
from latentvlm.eval.machine import LoadWatch
from latentvlm.eval.peak_memory import peak_memory
from latentvlm.vlm.language_model import LanguageModel
from latentvlm.vlm.presets import tiny


def test_both_sides_write_the_same() -> None:
    torch.manual_seed(0)
    model = LanguageModel(tiny().text).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.2)
    theirs, ours = Transformers(model), Ours(model)
    prompt = torch.randint(0, 320, (2, 21))
    last = ours.prefill(prompt)
    assert torch.equal(last, theirs.prefill(prompt))
    for _ in range(5):
        following = ours.step(last)
        assert torch.equal(following, theirs.step(last))
        last = following


def test_active_weights_count_the_experts_taken() -> None:
    config = tiny().text
    model = LanguageModel(config)
    experts = sum(p.numel() for n, p in model.layers.named_parameters() if ".experts." in n)
    rest = sum(p.numel() for n, p in model.layers.named_parameters() if ".experts." not in n)
    body, with_head = active_weights(config, model)
    assert body == rest + experts // 2 + 32  # two of four experts, and the last norm
    assert with_head == body + 320 * 32


def test_json_of_a_quick_run(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["bench", "--quick", "--preset", "tiny", "--repeats", "1", "--json"])
    assert done.value.code == 0
    report = json.loads(capsys.readouterr().out)
    assert [figure["what"] for figure in report["figures"]] == ["prefill 512", "decode, batch 1"]
    for figure in report["figures"]:
        assert figure["ratio"] > 0 and set(figure["rates"]) == {"latentvlm", "transformers"}
    assert report["ceilings"]["gemm_gflops"] > 0


def test_unknown_presets_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["bench", "--quick", "--preset", "bench-x"])
    assert done.value.code == 2
    assert "did you mean 'bench-" in capsys.readouterr().err


def test_a_failed_memory_process_says_why() -> None:
    with pytest.raises(BackendError, match="no preset named 'none'"):
        peak_memory("none", "latentvlm", 8, 1)


def test_own_work_is_not_foreign_load() -> None:
    watch = LoadWatch().start()
    torch.randn(300, 300).matmul(torch.randn(300, 300))
    share = watch.share()
    assert share is None or 0.0 <= share <= 1.0
