"""Every family that can be read can be exported, in both layouts, and is opened again as it was."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import QuantizationConfig, QuantizationScheme
from safetensors.torch import load_file, save_file

from latentvlm.vlm import parts
from latentvlm.vlm.checkpoint import load_model, save_model
from latentvlm.vlm.checkpoint.quantized import Quantized
from latentvlm.vlm.export.export import export
from latentvlm.vlm.export.source import WeightSource
from latentvlm.vlm.export.verify import verify
from latentvlm.vlm.language_model import LanguageModel
from latentvlm.vlm.model import VisionLanguageModel

from ...support.quantized_models import NEMOTRON, OTHERS, build, logits
from ...support.tiny_model import random_model, tiny_config
from ...support.tiny_vl_v2 import tiny_vl_v2_config

QUICK = {"num_prompts": 1, "num_held_out": 1, "num_answers": 0}
LAYOUTS = {  # a recipe that reaches the experts, and one that reaches every product
    "modelopt": "super-nvfp4",
    "compressed-tensors": "nano-vl-fp8",
}


def omni(folder: Path) -> None:
    save_model(random_model(tiny_config(moe_intermediate_size=32)), folder, dtype=torch.bfloat16)


def nano_vl_v2(folder: Path) -> None:
    save_model(random_model(tiny_vl_v2_config()), folder, dtype=torch.bfloat16)


def text_model(family: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        save_model(build(family, folder), folder, dtype=torch.bfloat16)

    return write


def own_parts(library: str, name: str, args: dict, text: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        torch.manual_seed(0)
        tower = parts.library_tower(library, name, model_args=args)
        model = parts.build(vision=tower, text=OTHERS[text]).eval()
        save_model(model, folder, dtype=torch.bfloat16)

    return write


TIMM = ("timm", "vit_tiny_patch16_224", {"depth": 1, "embed_dim": 48, "img_size": 64})
OPEN_CLIP = (
    "open_clip",
    "ViT-B-32",
    {"layers": 1, "width": 64, "head_width": 32, "image_size": 64, "patch_size": 16},
)
FAMILIES: dict[str, Callable[[Path], None]] = {
    **{f"nemotron_h, {kind}": text_model(kind) for kind in NEMOTRON if kind != "vision"},
    **{kind: text_model(kind) for kind in OTHERS},
    "nemotron_h_omni": omni,
    "NemotronH_Nano_VL_V2": nano_vl_v2,
    "timm and jamba": own_parts(*TIMM, "jamba"),
    "open_clip and granite": own_parts(*OPEN_CLIP, "granite"),
}


QUICK_ONES = ("granite", "timm and jamba")  # the rest takes longer than their share


@pytest.fixture(
    params=[
        pytest.param(name, marks=() if name in QUICK_ONES else pytest.mark.slow)
        for name in FAMILIES
    ]
)
def original(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    FAMILIES[request.param](tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_family_is_exported_and_opened_again(original: Path, layout: str) -> None:
    out = original.parent / "out"
    made = export(original, out, recipe=LAYOUTS[layout], layout=layout, **QUICK)  # type: ignore[arg-type]
    assert made.proof.holds
    wanted = {name for name, each in made.proof.classes.items() if each["meant"] != "keep"}
    assert wanted and not any("BF16" in made.proof.classes[name]["found"] for name in wanted)
    before = logits(text_of(original))
    packed, wide = logits(text_of(out)), logits(text_of(out, quantized="expand"))
    assert float((packed - wide).abs().max()) < 1e-4 * float(wide.abs().max())
    # a top-k that falls otherwise changes a token's output by a half; the rest is a few percent
    assert float((wide - before).norm() / before.norm()) < 0.25
    weights = WeightSource(out)
    expanded = load_model(out, dtype=torch.float32, quantized="expand").state_dict()
    for name in weights.names():
        if weights.is_stack(name):  # one expert is read alone, wherever it lies
            assert torch.equal(weights.read(name, 1).float(), expanded[name][1]), name


def text_of(folder: Path, quantized: Quantized = "packed") -> LanguageModel:
    model = load_model(folder, dtype=torch.float32, quantized=quantized)
    return model.language_model if isinstance(model, VisionLanguageModel) else model


@pytest.mark.parametrize("recipe", ["nano-vl-nvfp4", "nano-vl-fp8", "cpu-int4", "experts-int8"])
def test_experts_under_one_name_in_every_format(tmp_path: Path, recipe: str) -> None:
    """Granite keeps the experts of a layer in one tensor, gate over up, and so are they written."""
    text_model("granite")(tmp_path / "model")
    out = tmp_path / "out"
    made = export(tmp_path / "model", out, recipe=recipe, layout="compressed-tensors", **QUICK)
    assert made.proof.holds and made.proof.classes["experts"]["bits"] < 10
    written = load_file(out / "model.safetensors")
    name = "model.layers.0.block_sparse_moe.input_linear"
    found = {n.removeprefix(f"{name}."): t for n, t in written.items() if n.startswith(f"{name}.")}
    codes = found.get("weight_packed", found.get("weight"))
    assert codes is not None and codes.shape[:2] == (3, 32)  # experts, gate over up
    rows = 1 if recipe == "nano-vl-fp8" else 32
    assert found["weight_scale"].shape[:2] == (3, rows)
    if recipe == "nano-vl-nvfp4":
        assert found["weight_global_scale"].shape == (3, 1)
        assert found["input_global_scale"].shape == (1,)
        return  # compressed-tensors unpacks FP4 of matrices alone
    config = json.loads((out / "config.json").read_text())["quantization_config"]
    groups = QuantizationConfig.model_validate(config).config_groups.values()
    scheme = next(
        group
        for group in groups
        if isinstance(group, QuantizationScheme)
        and any(t == "Linear" or re.match(t.removeprefix("re:"), name) for t in group.targets)
    )
    compressor = BaseCompressor.get_value_from_registry(scheme.format or "")
    found.pop("input_scale", None)
    theirs = compressor.decompress(found, scheme)["weight"].float()
    source, stack = WeightSource(out), "layers.1.mixer.experts"
    for expert in range(3):
        ours = [source.read(f"{stack}.{kind}_proj", expert) for kind in ("gate", "up")]
        # they widen into the scales' number format, which may be bfloat16
        torch.testing.assert_close(theirs[expert], torch.cat(ours), rtol=2**-7, atol=1e-6)


def test_a_fault_in_a_stack_of_experts_is_caught(tmp_path: Path) -> None:
    text_model("granite")(tmp_path / "model")
    out = tmp_path / "out"
    export(tmp_path / "model", out, recipe="super-nvfp4", **QUICK)
    written = load_file(out / "model.safetensors")
    codes = written["model.layers.0.block_sparse_moe.output_linear.weight"]
    codes[1] = (codes[1] << 4) | (codes[1] >> 4)
    save_file(written, out / "model.safetensors", metadata={"format": "pt"})
    proof = verify(out, tmp_path / "model", num_prompts=1, num_answers=0)
    assert any("experts.down_proj[1] in NVFP4" in fault for fault in proof.faults)
