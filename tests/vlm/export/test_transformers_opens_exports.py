"""transformers opens what it reads rightly of an export, with agreeing logits."""

from pathlib import Path

import pytest
import torch
from support.tiny_model import random_model, tiny_config

from latentvlm.vlm.checkpoint import load_model, save_model
from latentvlm.vlm.export.export import export
from latentvlm.vlm.language_model import LanguageModel

QUICK = {"num_prompts": 1, "num_held_out": 1, "num_answers": 0}


def write_text_model(folder: Path, **changes) -> LanguageModel:
    vision = random_model(tiny_config(moe_intermediate_size=32, **changes))
    text = LanguageModel(vision.config.text).eval()
    text.load_state_dict(vision.language_model.state_dict())
    save_model(text, folder, dtype=torch.bfloat16)
    return text


@pytest.mark.parametrize("recipe", ["nano-fp8", "nano-vl-nvfp4"])
def test_transformers_opens_dense_models_with_agreeing_logits(tmp_path: Path, recipe: str) -> None:
    from transformers import AutoModelForCausalLM

    write_text_model(
        tmp_path / "model", hybrid_override_pattern="M*-M-", num_nextn_predict_layers=0
    )
    out = tmp_path / "out"
    export(tmp_path / "model", out, recipe=recipe, layout="compressed-tensors", **QUICK)
    theirs, loading = AutoModelForCausalLM.from_pretrained(
        out, dtype="auto", output_loading_info=True
    )
    assert not loading["missing_keys"]
    ours = load_model(out, quantized="expand", dtype=torch.float32)
    assert isinstance(ours, LanguageModel)
    ids = torch.randint(0, 320, (24,), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = theirs.eval()(ids[None]).logits[0].float()
        mine = ours.logits(ours(ours.embed(ids)))
    largest = float(mine.abs().max())
    # theirs rounds activations too, in 8 or in 4 bits, where the JSON asks for it
    assert float((logits - mine).abs().max()) < (0.15 if recipe == "nano-fp8" else 0.6) * largest
    close = (logits - mine).norm() / mine.norm()
    assert float(close) < (0.06 if recipe == "nano-fp8" else 0.3), float(close)
