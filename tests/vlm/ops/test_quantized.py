"""Products with packed weights agree with products with the weights that they stand for."""

import pytest
import torch
from torch import Tensor

from latentvlm.vlm.checkpoint.quantized import expanded
from latentvlm.vlm.language_model import LanguageModel
from latentvlm.vlm.ops import quantized
from latentvlm.vlm.ops.experts import apply_experts, experts_reference
from latentvlm.vlm.presets.small import tiny
from latentvlm.vlm.quantize.fp8 import decode_e4m3, quantize_fp8
from latentvlm.vlm.quantize.int4 import quantize_int4
from latentvlm.vlm.quantize.int8 import quantize_int8
from latentvlm.vlm.quantize.modules import put_packed, takes_packed
from latentvlm.vlm.quantize.nvfp4 import decode_e2m1, quantize_nvfp4
from latentvlm.vlm.quantize.packed import (
    Fp8Weight,
    Int4Weight,
    Int8Weight,
    Nvfp4Weight,
    PackedWeight,
)

KINDS = [
    "fp8 tensor",
    "fp8 channel",
    "fp8 block",
    "nvfp4",
    "nvfp4 divides",
    "int8",
    "int4",
]


def pack(weight: Tensor, kind: str) -> PackedWeight:
    first, _, more = kind.partition(" ")
    if first == "nvfp4":
        made = quantize_nvfp4(weight, divides=more == "divides")
        parts = {"codes": made.codes, "block_scales": made.block_scales}
        return Nvfp4Weight(parts | {"tensor_scale": made.tensor_scale}, divides=made.divides)
    if first == "fp8":
        codes, scale = quantize_fp8(weight, more)  # type: ignore[arg-type]
        return Fp8Weight({"codes": codes, "scale": scale})
    if first == "int8":
        codes, scale = quantize_int8(weight)
        return Int8Weight({"codes": codes, "scale": scale})
    codes, scale = quantize_int4(weight, group=8, scale_dtype=torch.bfloat16)
    return Int4Weight({"codes": codes, "scale": scale})


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def put(weight: PackedWeight) -> Tensor:
    """A matrix as tiles of several rows make it."""
    parts = []
    for piece in weight.pieces(None, 5 * weight.shape[-1]):
        made = quantized._filled(weight, [piece])
        parts.append(made.tile * (1 if piece.factor is None else piece.factor[:, None]))
    return torch.cat(parts)


def test_tiles_hold_the_numbers_of_the_formats() -> None:
    """Every code there is, from an odd place in memory on too."""
    every = torch.arange(256, dtype=torch.uint8)
    numbers = every[(every & 0x7F) != 0x7F].view(2, 127)
    fp8 = Fp8Weight({"codes": numbers, "scale": torch.ones(1, 1)})
    assert torch.equal(put(fp8), decode_e4m3(numbers))
    pairs = torch.stack(torch.meshgrid(every, every, indexing="ij"), -1)
    codes = torch.cat([every[:1], pairs.flatten()])[1:].view(256, -1)
    assert codes.storage_offset() == 1
    scales = every[1:127].repeat(300)[: 256 * 64].view(256, 64)
    parts = {"codes": codes, "block_scales": scales, "tensor_scale": torch.full((1, 1), 0.25)}
    for divides in (False, True):
        weight = Nvfp4Weight(parts, divides=divides)
        assert torch.equal(put(weight), weight.matrix())
    assert torch.equal(
        weight.matrix(), decode_e2m1(codes) * 4 * decode_e4m3(scales).repeat_interleave(16, 1)
    )
    weight = Int4Weight({"codes": codes, "scale": torch.full((256, 8), 0.5)})
    assert torch.equal(put(weight), weight.matrix())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_product_is_that_of_the_weight(kind: str, dtype: torch.dtype, monkeypatch) -> None:
    monkeypatch.setattr(quantized, "_CPU_ELEMENTS", 96 * 64)  # several tiles, the last one smaller
    monkeypatch.setattr(quantized, "cpu_multiplies_bfloat16", lambda: False)
    weight = pack(drawn(3, 200, 64) * 0.05, kind)
    x, bias = drawn(2, 5, 64, seed=1).to(dtype), drawn(200, seed=2)
    with torch.no_grad():
        assert quantized.kernel_for(weight, x[0]) is quantized.in_tiles
        found = quantized.packed_linear(x, weight, bias, expert=2)
    expected = x.float() @ weight.matrix(2).mT + bias
    assert found.dtype == dtype and found.shape == (2, 5, 200)
    close = 1e-5 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(found.float(), expected, rtol=close, atol=close)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_the_input(kind: str) -> None:
    weight = pack(drawn(24, 32), kind)
    x = drawn(3, 32, seed=1).requires_grad_()
    assert quantized.kernel_for(weight, x) is quantized.widened
    quantized.packed_linear(x, weight).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, weight.matrix().sum(0).expand(3, 32))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tile", [1 << 19, 3 * 32 * 64, 1024])
def test_experts_agree_with_the_reference(kind: str, tile: int, monkeypatch) -> None:
    """Several experts in a tile, and tiles smaller than one."""
    monkeypatch.setattr(quantized, "_CPU_ELEMENTS", tile)
    up, down = pack(drawn(6, 32, 64) * 0.1, kind), pack(drawn(6, 64, 32, seed=1) * 0.1, kind)
    z, weights = drawn(7, 64, seed=2), drawn(7, 3, seed=3).abs()
    ids = torch.stack([torch.randperm(6)[:3] for _ in range(7)])
    wide_up, wide_down = (expanded(stack, torch.float32) for stack in (up, down))
    expected = experts_reference(z, wide_up, wide_down, ids, weights)
    with torch.no_grad():
        found = apply_experts(z, up, down, ids, weights)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    chosen, shares = ids[0].tolist(), weights[0].tolist()
    hidden = torch.empty(1, 3 * 32)
    quantized.put_products_of_row(z[0], up, chosen, hidden)
    hidden = hidden.relu().square()
    for keep in (True, False):
        into = torch.full((1, 64), 0.5)
        rows = hidden.split(32, dim=1)
        quantized.add_products_of_rows(rows, down, chosen, shares, into, keep=keep)
        torch.testing.assert_close(into[0], expected[0] + 0.5 * keep, rtol=1e-4, atol=1e-5)


def packed_and_wide(kind: str) -> tuple[LanguageModel, LanguageModel]:
    """A model with every product packed, and one with the same weights widened."""
    config, made = tiny().text, []
    for _ in range(2):
        torch.manual_seed(0)
        made.append(LanguageModel(config).eval().requires_grad_(False))
    packed, wide = made
    with torch.no_grad():
        for key, parameter in list(wide.named_parameters()):
            if parameter.dim() < 2 or not takes_packed(wide, key) or parameter.shape[-1] % 16:
                continue
            weight = pack(parameter, kind)
            parameter.copy_(expanded(weight, torch.float32))
            put_packed(packed, key, weight)
    assert packed.is_packed
    return packed, wide


@pytest.mark.parametrize("kind", ["nvfp4", "fp8 tensor", "int4"])
@torch.inference_mode()
def test_the_lean_step_takes_packed_weights(kind: str) -> None:
    packed, wide = packed_and_wide(kind)
    ids = torch.arange(40) % 300
    for num_seqs in (1, 3):
        bounds = torch.arange(num_seqs + 1, dtype=torch.int32)
        seen = []
        for model in (packed, wide):
            cache = model.allocate_cache(num_seqs)
            model(model.embed(ids.repeat(num_seqs)), cu_seqlens=bounds * 40, cache=cache)
            step = torch.arange(num_seqs)
            hidden = [
                model(model.embed(step + t), cu_seqlens=bounds, cache=cache).clone()
                for t in range(4)
            ]
            assert "build_step" in cache.step.__qualname__  # type: ignore[union-attr]
            seen.append(model.logits(torch.cat(hidden)))
        torch.testing.assert_close(*seen, rtol=1e-3, atol=1e-4)


def test_fp8_is_multiplied_as_it_is_where_there_are_units(monkeypatch) -> None:
    x = drawn(5, 64).to(torch.bfloat16)
    weight = pack(drawn(48, 64), "fp8 channel")
    assert quantized.kernel_for(weight, x) is not quantized.scaled_mm
    monkeypatch.setattr(quantized, "_has_fp8_units", lambda device: True)
    for kind in ("fp8 tensor", "fp8 channel"):
        assert quantized.kernel_for(pack(drawn(48, 64), kind), x) is quantized.scaled_mm
    # what they do not take: float32, other formats, blocks, sizes, gradients
    assert quantized.kernel_for(weight, x.float()) is quantized.in_tiles
    for other in (
        pack(drawn(48, 64), "nvfp4"),
        pack(drawn(256, 64), "fp8 block"),
        pack(drawn(40, 64), "fp8 channel"),
    ):
        assert quantized.kernel_for(other, x) is not quantized.scaled_mm
    assert quantized.kernel_for(weight, x.clone().requires_grad_()) is quantized.widened


@pytest.mark.parametrize("kind", ["fp8 tensor", "fp8 channel"])
def test_scaled_products_round_the_rows_of_the_input(kind: str) -> None:
    """On this CPU, with torch's own product."""
    stack = pack(drawn(2, 48, 64), kind)
    x = torch.cat([drawn(4, 64, seed=1) * 30, torch.zeros(1, 64)]).to(torch.bfloat16)
    codes, steps = quantize_fp8(x, "channel")
    expected = decode_e4m3(codes) * steps @ stack.matrix(1).mT
    assert isinstance(stack, Fp8Weight)
    found = quantized.scaled_mm(x, stack, 1)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected, rtol=1e-2, atol=1e-2)
    exact = x.float() @ stack.matrix(1).mT
    assert (found.float() - exact).norm() < 0.04 * exact.norm()


@pytest.mark.parametrize("kind", ["fp8 tensor", "fp8 channel"])
@pytest.mark.parametrize("tokens", [1, 5])
@pytest.mark.parametrize("by_columns", [False, True])
def test_scaled_products_are_asked_for_as_cuda_takes_them(
    kind: str, tokens: int, by_columns: bool
) -> None:
    """PyTorch's own checks of sizes, strides and scales for CUDA, which need no GPU."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    shapes = {"codes": (3, 48, 64), "scale": (3, 1 if kind == "fp8 tensor" else 48, 1)}
    with FakeTensorMode():
        weight = Fp8Weight(
            {
                "codes": torch.empty(shapes["codes"], dtype=torch.uint8, device="cuda"),
                "scale": torch.empty(shapes["scale"], device="cuda"),
            }
        )
        x = torch.empty(tokens, 64, dtype=torch.bfloat16, device="cuda")
        x = torch.empty_like(x.t()).t() if by_columns else x
        assert quantized.fits_scaled_mm(weight, x)
        found = quantized.scaled_mm(x, weight, 2)
    assert found.shape == (tokens, 48) and found.dtype == torch.bfloat16
    assert found.device.type == "cuda"


def test_only_nvidias_units_are_used(monkeypatch) -> None:
    device = torch.device("cuda", 0)
    for capability, hip, platform, expected in (
        ((8, 9), None, "linux", True),
        ((8, 6), None, "linux", False),
        ((9, 4), "6.4", "linux", False),
        ((8, 9), None, "win32", False),
    ):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda of, c=capability: c)
        monkeypatch.setattr(torch.version, "hip", hip)
        monkeypatch.setattr("sys.platform", platform)
        assert quantized._has_fp8_units(device) is expected
    assert not quantized._has_fp8_units(torch.device("cpu"))


@pytest.mark.gpu
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tokens", [1, 7, 300])
def test_products_on_a_gpu(kind: str, tokens: int) -> None:
    weight = pack(drawn(3, 256, 128) * 0.05, kind).cuda()
    x = drawn(tokens, 128, seed=1).to("cuda", torch.bfloat16)
    with torch.no_grad():
        kernel = quantized.kernel_for(weight, x)
        found = quantized.packed_linear(x, weight, expert=1)
    has_units = torch.cuda.get_device_capability() >= (8, 9)
    is_plain = kind in ("fp8 tensor", "fp8 channel")
    assert (kernel is quantized.scaled_mm) == (has_units and is_plain)
    exact = x.float() @ weight.matrix(1).mT
    assert (found.float() - exact).norm() < 0.04 * exact.norm()
