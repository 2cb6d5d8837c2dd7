"""A model that computes as its export will: what training rounds is what the writer stores."""

from pathlib import Path

import pytest
import torch
from support.quantized_folder import plain_nvfp4_dequantize, plain_nvfp4_quantize
from support.quantized_models import OTHERS
from support.tiny_model import random_model, tiny_config

from latentvlm.vlm.checkpoint import load_model, save_model
from latentvlm.vlm.export.calibrate import largest_input
from latentvlm.vlm.export.export import export
from latentvlm.vlm.export.layouts import encode
from latentvlm.vlm.export.prompts import find_prompts
from latentvlm.vlm.export.rounded import rounded_inputs, rounded_weight
from latentvlm.vlm.export.source import WeightSource
from latentvlm.vlm.export.widen import widen
from latentvlm.vlm.language_model import LanguageModel
from latentvlm.vlm.model import VisionLanguageModel
from latentvlm.vlm.quantize.recipes import recipe_named
from latentvlm.vlm.quantize.weight_formats import FORMATS
from latentvlm.vlm.train.distill_settings import Quantization
from latentvlm.vlm.train.input_ranges import InputRanges, inputs_changed, rounding_inputs
from latentvlm.vlm.train.stored import StoredForm, StraightThrough, weights_replaced


def logits_of(model, ids: torch.Tensor) -> torch.Tensor:
    return (
        model(ids)
        if isinstance(model, VisionLanguageModel)
        else model.logits(model(model.embed(ids)))
    )


def require_same(model, out: Path, stored: StoredForm) -> None:
    """Every weight, and what the model says, is that of the exported folder."""
    tensors = stored.tensors()
    wide = load_model(out, quantized="expand", dtype=torch.float32)
    for name, weight in wide.state_dict().items():
        if name in tensors:
            assert torch.equal(weight, tensors[name]), name
    ids = torch.arange(19, 59)
    with torch.no_grad(), weights_replaced(model, tensors):
        mine = logits_of(model, ids)
    with torch.no_grad():
        assert torch.equal(logits_of(wide, ids), mine)
        assert torch.allclose(logits_of(load_model(out, dtype=torch.float32), ids), mine, atol=1e-4)
        assert not torch.allclose(logits_of(model, ids), mine, atol=1e-3)


@pytest.mark.parametrize(
    ("recipe", "layout"),
    [
        ("super-nvfp4", "modelopt"),
        ("super-nvfp4", "compressed-tensors"),
        ("nano-vl-fp8", "compressed-tensors"),
        ("cpu-int4", "compressed-tensors"),
    ],
)
def test_the_rounded_forward_is_that_of_the_export(
    exported, original: Path, recipe: str, layout: str
) -> None:
    out, made = exported(recipe, layout)
    model = load_model(original, dtype=torch.float32)
    stored = StoredForm(model, recipe_named(recipe), layout)  # type: ignore[arg-type]
    assert set(stored.formats.values()) == set(made.plan.formats.values())
    require_same(model, out, stored)


@pytest.mark.parametrize("name", [name for name, form in FORMATS.items() if form])
def test_every_format_is_rounded_as_it_is_stored(name: str) -> None:
    form = FORMATS[name]
    assert form is not None
    stack = torch.randn(3, 40, 160, generator=torch.Generator().manual_seed(0))
    rounded = rounded_weight(stack, form, "modelopt")
    for weight, mine in zip(stack, rounded, strict=True):
        assert torch.equal(widen(encode(weight, form, "modelopt"), form, weight.shape), mine)
    largest = stack.abs().amax().view(1, 1, 1)
    shared = rounded_weight(stack, form, "modelopt", largest=largest)
    parts = encode(stack[0], form, "modelopt", largest=float(largest))
    assert torch.equal(widen(parts, form, stack[0].shape), shared[0])


@pytest.mark.parametrize("family", ["jamba", "granite"])  # apart, and one over the other
def test_gated_weights_share_scales_as_in_the_export(tmp_path: Path, family: str) -> None:
    torch.manual_seed(0)
    model = LanguageModel(OTHERS[family]).eval()
    save_model(model, tmp_path / "model", dtype=torch.bfloat16)
    export(tmp_path / "model", tmp_path / "out", recipe="ultra-nvfp4",
           num_prompts=1, num_held_out=1, num_answers=0)  # fmt: skip
    stored = StoredForm(model, recipe_named("ultra-nvfp4"), "modelopt")
    require_same(model, tmp_path / "out", stored)


def test_the_recipe_of_an_export_is_taken_from_its_record(exported) -> None:
    out, made = exported("cpu-int4", "compressed-tensors")
    settings = Quantization(recipe=str(out))
    assert settings.export_recipe() == made.plan.recipe
    assert settings.export_layout == "compressed-tensors"


def test_weights_of_a_float32_model_are_rounded_as_a_run_writes_them(tmp_path: Path) -> None:
    model = random_model(tiny_config(moe_intermediate_size=32))
    stored = StoredForm(model, recipe_named("nano-vl-nvfp4"), "modelopt").tensors()
    name = "language_model.layers.2.mixer.up_proj.weight"
    weight = model.state_dict()[name].bfloat16().float()
    plain = plain_nvfp4_dequantize(*plain_nvfp4_quantize(weight))
    assert torch.equal(stored[name], plain)
    for kept in ("language_model.embeddings.weight", "projector.linear_1.weight"):
        if kept in stored:
            assert torch.equal(stored[kept], model.state_dict()[kept].bfloat16().float())
    gates = [n for n in stored if n.endswith(("A_log", "mixer.D"))]
    assert gates and all(torch.equal(stored[n], model.state_dict()[n]) for n in gates)


def test_gradients_are_those_of_the_rounded_weights() -> None:
    model = random_model(tiny_config(moe_intermediate_size=32))
    tensors = StoredForm(model, recipe_named("nano-vl-nvfp4"), "modelopt").tensors()
    ids = torch.arange(19, 59)
    before = dict(model.named_parameters())
    with weights_replaced(model, tensors):
        model(ids).square().mean().backward()
    assert dict(model.named_parameters()) == before  # the same objects in the same order
    rounded = random_model(tiny_config(moe_intermediate_size=32))
    rounded.load_state_dict({**rounded.state_dict(), **tensors})
    rounded(ids).square().mean().backward()
    reached = 0
    for name, parameter in rounded.named_parameters():
        if parameter.grad is not None:
            assert torch.equal(before[name].grad, parameter.grad), name  # type: ignore[arg-type]
            reached += bool(parameter.grad.any())
    assert reached > 20


def test_what_is_clipped_has_no_gradient() -> None:
    values = torch.tensor([-3.0, -1.0, 0.4, 2.0], requires_grad=True)
    rounded = StraightThrough.apply(values, lambda x: x.clamp(-2, 2).round(), torch.tensor(2.0))
    assert rounded.tolist() == [-2.0, -1.0, 0.0, 2.0]
    (rounded * torch.tensor([1.0, 2.0, 3.0, 4.0])).sum().backward()
    assert values.grad is not None and values.grad.tolist() == [0.0, 2.0, 3.0, 4.0]


def test_ranges_of_inputs_are_those_that_the_export_calibrates(exported, original: Path) -> None:
    _, made = exported("super-nvfp4", "modelopt")
    model = load_model(original, dtype=torch.float32)
    assert isinstance(model, VisionLanguageModel)
    formats = StoredForm(model, recipe_named("super-nvfp4"), "modelopt").formats
    ranges = InputRanges(model)
    prompts = find_prompts(WeightSource(original), None, 3, split="train")
    with torch.no_grad(), inputs_changed(model, list(formats), ranges.note):
        for given in prompts.inputs:
            model(given.input_ids, pixel_values=given.pixel_values,
                  image_grid_hw=given.image_grid_hw)  # fmt: skip
    for name in formats:
        expert = 0 if ".experts." in name else None
        seen = largest_input(made.calibration.largest_inputs, name, expert)
        assert float(ranges.of(name)) == pytest.approx(seen, rel=1e-4), name


def test_inputs_are_rounded_as_readers_do() -> None:
    values = torch.randn(5, 160, generator=torch.Generator().manual_seed(1))
    values[2, 3] = 9.0
    largest = torch.tensor(4.0)

    def e4m3(numbers: torch.Tensor) -> torch.Tensor:
        return numbers.to(torch.float8_e4m3fn).float()

    scale = 4.0 / 448
    by_tensor = rounded_inputs(values, FORMATS["fp8"], largest)  # type: ignore[arg-type]
    assert torch.allclose(by_tensor, e4m3((values / scale).clamp(-448, 448)) * scale)
    assert by_tensor.abs().max() == 4.0
    per_token = values.abs().amax(-1, keepdim=True) / 448
    by_token = rounded_inputs(values, FORMATS["fp8-channel"], largest)  # type: ignore[arg-type]
    assert torch.allclose(by_token, e4m3(values / per_token) * per_token)
    by_block = rounded_inputs(values, FORMATS["fp8-block"], largest)  # type: ignore[arg-type]
    for part in (slice(0, 128), slice(128, 160)):
        per_block = values[:, part].abs().amax(-1, keepdim=True) / 448
        assert torch.allclose(by_block[:, part], e4m3(values[:, part] / per_block) * per_block)
    small = values.clamp(-4, 4)
    small[0, 0] = 4.0  # the matrix's own largest is then the stored one
    plain = plain_nvfp4_dequantize(*plain_nvfp4_quantize(small))
    assert torch.equal(rounded_inputs(small, FORMATS["nvfp4"], largest), plain)  # type: ignore[arg-type]


def test_inputs_of_experts_are_rounded_too() -> None:
    model = random_model(tiny_config(moe_intermediate_size=32))
    formats = StoredForm(model, recipe_named("nano-vl-nvfp4"), "modelopt").formats
    ranges = InputRanges(model)
    ids = torch.arange(19, 59)
    with torch.no_grad():
        with inputs_changed(model, list(formats), ranges.note):
            plain = model(ids)
        assert bool((torch.stack([ranges.of(name) for name in formats]) > 0).all())
        changed = {}
        for name in ("language_model.layers.3.mixer.experts.up_proj",
                     "language_model.layers.3.mixer.experts.down_proj"):  # fmt: skip
            with inputs_changed(model, [name], rounding_inputs(ranges, formats)):
                changed[name] = model(ids)
        assert all(not torch.allclose(each, plain, atol=1e-4) for each in changed.values())
        assert torch.allclose(model(ids), plain, atol=1e-5)
