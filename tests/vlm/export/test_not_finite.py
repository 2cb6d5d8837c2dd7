"""NaN and infinity anywhere in a model: one sentence and no export, whatever the number format."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from latentvlm.errors import InputError
from latentvlm.vlm.export.export import export
from latentvlm.vlm.export.layouts import encode
from latentvlm.vlm.export.verify import verify
from latentvlm.vlm.quantize.weight_formats import FORMATS, WeightFormat

QUICK = {"num_prompts": 1, "num_held_out": 1, "num_answers": 0}
NAN, INFINITY = float("nan"), float("inf")
UNSEEN = "layers.3.mixer.experts.2.down_proj.weight"  # of an expert that no token is routed to


@pytest.fixture
def spoilt(original: Path, tmp_path: Path) -> Callable[[str, float], Path]:
    """The model with one number of a tensor replaced; no token is routed to one of its experts."""

    def make(ending: str, value: float, source: Path = original) -> Path:
        folder = Path(shutil.copytree(source, tmp_path / f"{source.name}-spoilt"))
        found = 0
        for path in folder.glob("*.safetensors"):
            tensors = load_file(path)
            for name in tensors:
                if name.endswith(ending):
                    tensors[name].view(-1)[3] = value
                    found += 1
                if "mtp." not in name and name.endswith("e_score_correction_bias"):
                    tensors[name][2] = -100.0
            save_file(tensors, path, metadata={"format": "pt"})
        assert found == 1
        return folder

    return make


@pytest.mark.parametrize("form", [f for f in FORMATS.values() if f], ids=str)
@pytest.mark.parametrize("value", [NAN, INFINITY, -INFINITY])
def test_no_format_takes_them(form: WeightFormat, value: float) -> None:
    weight = torch.ones(128, 128)
    weight[3, 3] = value
    layout = "compressed-tensors" if form.stored.startswith("INT") else "modelopt"
    with pytest.raises(InputError, match="NaN or infinity cannot be quantized"):
        encode(weight, form, layout)


@pytest.mark.parametrize("recipe", ["nano-fp8", "nano-nvfp4", "experts-int8", "cpu-int4"])
def test_a_weight_that_calibration_does_not_reach(spoilt, tmp_path: Path, recipe: str) -> None:
    integers = recipe in ("experts-int8", "cpu-int4")
    with pytest.raises(InputError, match=r"holds NaN or infinity in .*experts\.2\.down_proj"):
        export(
            spoilt(UNSEEN, NAN),
            tmp_path / "out",
            recipe=recipe,
            layout="compressed-tensors" if integers else "modelopt",
            **QUICK,
        )
    assert [path.name for path in tmp_path.iterdir()] == ["model-spoilt"]


@pytest.mark.parametrize(
    ("ending", "value", "words"),
    [
        (
            "layers.2.mixer.up_proj.weight",
            INFINITY,
            r"the input of .*down_proj\.weight is inf",
        ),
        ("vision_model.radio_model.model.blocks.0.attn.qkv.weight", NAN, "On the calibration data"),
        (
            "mtp.layers.0.mixer.q_proj.weight",
            NAN,
            r"NaN or infinity in .*mtp.*q_proj",
        ),
        ("language_model.mtp.layers.0.norm.weight", INFINITY, "NaN or infinity in .*mtp.*norm"),
    ],
)
def test_a_weight_of_any_part(
    spoilt, tmp_path: Path, ending: str, value: float, words: str
) -> None:
    """Those that are kept too: bit for bit the same, they would look whole."""
    with pytest.raises(InputError, match=words):
        export(spoilt(ending, value), tmp_path / "out", recipe="nano-fp8", **QUICK)
    assert [path.name for path in tmp_path.iterdir()] == ["model-spoilt"]


def test_an_export_of_a_damaged_model_is_refuted(spoilt, exported) -> None:
    """By whoever it was made; both files have the same NaN."""
    ending = "mtp.layers.0.mixer.q_proj.weight"
    out = spoilt(ending, NAN, exported("nano-fp8", "modelopt")[0])
    proof = verify(out, spoilt(ending, NAN), num_answers=0)
    assert not proof.holds
    assert any("q_proj.weight holds NaN or infinity" in fault for fault in proof.faults)
