"""A planted fault of each known kind is caught, and named."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from latentvlm.errors import ExportError
from latentvlm.vlm.export import export as export_module
from latentvlm.vlm.export.proof import Limits, Proof
from latentvlm.vlm.export.verify import verify
from latentvlm.vlm.export.writer import write_export
from latentvlm.vlm.quantize.fp8 import quantize_fp8

LAYERS = "language_model.backbone.layers"
UP = f"{LAYERS}.3.mixer.experts.1.up_proj"
IN_PROJ = f"{LAYERS}.0.mixer.in_proj"


def change_tensors(folder: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    """All tensors into one file, changed."""
    tensors: dict[str, Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        tensors |= load_file(path)
        path.unlink()
    (folder / "model.safetensors.index.json").unlink()
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def change_json(folder: Path, file: str, change: Callable[[dict], None]) -> None:
    values = json.loads((folder / file).read_text())
    change(values)
    (folder / file).write_text(json.dumps(values))


def lose_scale(tensors: dict[str, Tensor]) -> None:
    del tensors[f"{UP}.weight_scale_2"]


def lose_input_scale(tensors: dict[str, Tensor]) -> None:
    del tensors[f"{IN_PROJ}.input_scale"]


def turn_scale_over(tensors: dict[str, Tensor]) -> None:
    tensors[f"{UP}.weight_scale_2"] = 1 / tensors[f"{UP}.weight_scale_2"]


def swap_nibbles(tensors: dict[str, Tensor]) -> None:
    codes = tensors[f"{UP}.weight"]
    tensors[f"{UP}.weight"] = (codes << 4) | (codes >> 4)


def leave_in_bfloat16(tensors: dict[str, Tensor]) -> None:
    for name in [n for n in tensors if n.startswith(f"{IN_PROJ}.") and n.endswith("scale")]:
        del tensors[name]
    tensors[f"{IN_PROJ}.weight"] = tensors[f"{IN_PROJ}.weight"].to(torch.bfloat16)


def quantize_vision(tensors: dict[str, Tensor]) -> None:
    name = next(n for n in tensors if n.startswith("vision_model") and n.endswith("fc1.weight"))
    codes, scale = quantize_fp8(tensors[name].float(), "tensor")
    tensors[name] = codes.view(torch.float8_e4m3fn)
    tensors[name.replace(".weight", ".weight_scale")] = scale.view(())


def drop_draft_head(tensors: dict[str, Tensor]) -> None:
    for name in [n for n in tensors if "mtp." in n]:
        del tensors[name]


def endless_scale(tensors: dict[str, Tensor]) -> None:
    tensors[f"{IN_PROJ}.weight_scale"] = torch.tensor(float("inf"))


def zero_cache_scale(tensors: dict[str, Tensor]) -> None:
    tensors[f"{LAYERS}.1.mixer.k_proj.k_scale"] = torch.tensor(0.0)


def scale_by_row(tensors: dict[str, Tensor]) -> None:
    """The same numbers, in a layout that was not declared."""
    rows = tensors[f"{IN_PROJ}.weight"].shape[0]
    tensors[f"{IN_PROJ}.weight_scale"] = tensors[f"{IN_PROJ}.weight_scale"].repeat(rows)


def cache_scale_in_bfloat16(tensors: dict[str, Tensor]) -> None:
    name = f"{LAYERS}.1.mixer.v_proj.v_scale"
    tensors[name] = tensors[name].to(torch.bfloat16)


def change_what_was_kept(tensors: dict[str, Tensor]) -> None:
    tensors[f"{LAYERS}.1.mixer.q_proj.weight"][0, 0] += 0.5


FAULTS = [
    (lose_scale, "our reader opens it", "weight_scale_2 is missing"),
    (lose_input_scale, "loaders of ModelOpt checkpoints", "in_proj.input_scale is missing"),
    (turn_scale_over, "quantized weights are close", "experts.up_proj[1] in NVFP4"),
    (swap_nibbles, "quantized weights are close", "experts.up_proj[1] in NVFP4"),
    (leave_in_bfloat16, "nothing was left out by accident", "was meant to be FP8 and is BF16"),
    (quantize_vision, "nothing was quantized by accident", "was to be kept and is FP8"),
    (drop_draft_head, "the whole model is there", "lost: language_model.mtp"),
    (endless_scale, "scales are finite and positive", "weight_scale is not finite"),
    (zero_cache_scale, "scales are finite and positive", "k_scale is 0.0"),
    (scale_by_row, "loaders of ModelOpt checkpoints", "no scale of FP8"),
    (cache_scale_in_bfloat16, "loaders of ModelOpt checkpoints", "must be one F32 number"),
    (change_what_was_kept, "what was kept is the same", "q_proj.weight was to be kept"),
]


def faults_of(proof: Proof) -> dict[str, str]:
    return {check.name: "; ".join(check.faults) for check in proof.checks if not check.passed}


@pytest.mark.parametrize(("spoil", "check", "words"), FAULTS, ids=[f[0].__name__ for f in FAULTS])
def test_a_fault_in_the_tensors_is_caught(
    copy_of, original: Path, spoil, check: str, words: str
) -> None:
    folder = copy_of()
    change_tensors(folder, spoil)
    proof = verify(folder, original, num_answers=0)
    found = faults_of(proof)
    assert not proof.holds
    assert any(check in name and words in faults for name, faults in found.items()), found


def lose_global_scale(tensors: dict[str, Tensor]) -> None:
    del tensors[f"{UP}.weight_global_scale"]


def turn_global_scale_over(tensors: dict[str, Tensor]) -> None:
    tensors[f"{UP}.weight_global_scale"] = 1 / tensors[f"{UP}.weight_global_scale"]


def swap_packed_nibbles(tensors: dict[str, Tensor]) -> None:
    codes = tensors[f"{UP}.weight_packed"]
    tensors[f"{UP}.weight_packed"] = (codes << 4) | (codes >> 4)


FAULTS_OF_COMPRESSED_TENSORS = [
    (lose_global_scale, "our reader opens it", "weight_global_scale is missing"),
    (turn_global_scale_over, "quantized weights are close", "experts.up_proj[1] in NVFP4"),
    (swap_packed_nibbles, "quantized weights are close", "experts.up_proj[1] in NVFP4"),
    (leave_in_bfloat16, "nothing was left out by accident", "was meant to be FP8 and is BF16"),
    (quantize_vision, "nothing was quantized by accident", "was to be kept and is FP8"),
    (drop_draft_head, "the whole model is there", "lost: language_model.mtp"),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "check", "words"),
    FAULTS_OF_COMPRESSED_TENSORS,
    ids=[f[0].__name__ for f in FAULTS_OF_COMPRESSED_TENSORS],
)
def test_a_fault_in_the_other_layout_is_caught(
    copy_of, original: Path, spoil, check: str, words: str
) -> None:
    folder = copy_of(layout="compressed-tensors")
    change_tensors(folder, spoil)
    found = faults_of(verify(folder, original, num_answers=0))
    assert any(check in name and words in faults for name, faults in found.items()), found


@pytest.mark.slow
def test_a_wrong_pattern_of_the_other_layout_is_caught(copy_of, original: Path) -> None:
    folder = copy_of(layout="compressed-tensors")
    change_json(
        folder,
        "config.json",
        lambda values: values["quantization_config"]["ignore"].append("re:.*in_proj"),
    )
    found = faults_of(verify(folder, original, num_answers=0))
    assert "in_proj is FP8 but declared kept" in found["the JSON says what the tensors are"]


def widen_glob(values: dict) -> None:
    quantization = values.get("quantization") or values["quantization_config"]
    key = "exclude_modules" if "quantization" in values else "ignore"
    quantization[key].append("language_model*")


def forget_a_module(values: dict) -> None:
    layers = (values.get("quantization") or values["quantization_config"])["quantized_layers"]
    del layers[IN_PROJ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (widen_glob, "in_proj is FP8 but declared kept"),
        (forget_a_module, "in_proj is FP8 but declared kept"),
    ],
)
def test_a_wrong_glob_is_caught(copy_of, original: Path, change, words: str) -> None:
    folder = copy_of()
    change_json(folder, "config.json", change)
    found = faults_of(verify(folder, original, num_answers=0))
    assert words in found["the JSON says what the tensors are"]


def test_the_two_jsons_must_agree(copy_of, original: Path) -> None:
    folder = copy_of()
    change_json(folder, "hf_quant_config.json", widen_glob)
    found = faults_of(verify(folder, original, num_answers=0))
    assert any("by hf_quant_config.json" in faults for faults in found.values())
    (folder / "hf_quant_config.json").unlink()
    found = faults_of(verify(folder, original, num_answers=0))
    assert any("must both say" in faults for faults in found.values())


def test_another_models_export_is_refuted(copy_of, original: Path) -> None:
    folder = copy_of()

    def shrink(values: dict) -> None:
        values["text_config"]["routed_scaling_factor"] = 1.0

    change_json(folder, "config.json", shrink)
    assert "it is the same model" in faults_of(verify(folder, original, num_answers=0))
    assert not verify(original, original, num_answers=0).holds  # nothing is quantized there


def test_without_a_record_the_json_says_what_was_meant(copy_of, original: Path) -> None:
    folder = copy_of()
    (folder / "latentvlm_export.json").unlink()
    proof = verify(folder, original, num_prompts=1, num_answers=0)
    assert proof.holds and proof.recipe == "as declared"


def test_answers_stand_side_by_side(copy_of, original: Path) -> None:
    proof = verify(copy_of(), original, num_prompts=1, num_answers=1)
    assert proof.holds and len(proof.answers) == 1
    assert {*proof.answers[0]} == {"question", "before", "after"}
    assert "| question | before | after |" in proof.as_markdown()


def test_a_model_that_is_too_far_off_is_refuted(copy_of, original: Path) -> None:
    limits = Limits(max_kl=1e-9, min_agreement=1.01, max_layer_error=1e-6)
    proof = verify(copy_of(), original, num_prompts=1, num_answers=0, limits=limits)
    found = faults_of(proof)
    assert "layer 0 (M)" in found["every layer's output is close"]
    assert "the mean KL is" in found["the next token is close"]
    assert "the likeliest token agrees" in found["the next token is close"]


def test_an_export_without_proof_is_not_written(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt(source, plan, calibration, folder, **options) -> None:
        write_export(source, plan, calibration, folder, **options)
        change_tensors(folder, swap_nibbles)

    monkeypatch.setattr(export_module, "write_export", spoilt)
    with pytest.raises(ExportError, match=r"was not written, for its proof does not hold: .*NVFP4"):
        export_module.export(
            original, tmp_path / "out", recipe="super-nvfp4", num_prompts=1, max_shard_bytes=60_000
        )
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "out.refuted-proof.json",
        "out.refuted-proof.md",
    ]
