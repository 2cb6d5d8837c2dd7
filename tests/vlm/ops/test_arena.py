"""Weights in one block of memory: the same values, and neighbours where they are read together."""

import torch
from torch import nn

from latentvlm.vlm.language_model import LanguageModel
from latentvlm.vlm.ops.arena import joined, lay_out
from latentvlm.vlm.presets import tiny


def weights(*shapes: tuple[int, ...]) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def check(shapes: list[tuple[int, ...]], dim: int) -> None:
    parameters = weights(*shapes)
    before = [parameter.detach().clone() for parameter in parameters]
    assert joined(parameters, dim) is None
    lay_out([(parameters, dim)])
    for parameter, value in zip(parameters, before, strict=True):
        assert torch.equal(parameter, value)
    whole = joined(parameters, dim)
    assert whole is not None and torch.equal(whole, torch.cat(before, dim))
    assert whole.data_ptr() == parameters[0].data_ptr()
    assert joined(parameters[::-1], dim) is None


def test_those_of_one_input_and_those_that_add_up_are_neighbours() -> None:
    check([(3, 8), (5, 8), (2, 8)], dim=0)
    check([(4, 8), (4, 3)], dim=1)
    check([(600, 8), (40, 8)], dim=0)  # wide: stored input by input
    check([(600, 8), (600, 3)], dim=1)


def test_a_stack_keeps_its_values() -> None:
    for shape in ((3, 4, 6), (3, 600, 6)):
        (stack,) = weights(shape)
        before = stack.detach().clone()
        lay_out([([stack], 0)])
        assert torch.equal(stack, before)


def test_a_model_keeps_names_and_values_and_bfloat16_stays() -> None:
    torch.manual_seed(0)
    model = LanguageModel(tiny().text)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    layer = next(each.mixer for each in model.layers if hasattr(each.mixer, "q_proj"))
    parts = [layer.q_proj.weight, layer.k_proj.weight, layer.v_proj.weight]
    model.prepare_for_decoding()
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert joined(parts, 0) is not None
    half = LanguageModel(tiny().text).to(torch.bfloat16).prepare_for_decoding()
    assert {parameter.dtype for parameter in half.parameters()} == {torch.bfloat16}
