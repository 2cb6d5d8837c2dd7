"""The number formats: worked bytes, a plain codec of one value at a time, compressed-tensors."""

import math

import pytest
import torch
from support.quantized_folder import (
    plain_e2m1,
    plain_nvfp4_dequantize,
    plain_nvfp4_quantize,
)
from torch import Tensor

from latentvlm.errors import ConfigError, InputError
from latentvlm.vlm.quantize.fp8 import decode_e4m3, dequantize_fp8, encode_e4m3, quantize_fp8
from latentvlm.vlm.quantize.int4 import dequantize_int4, quantize_int4
from latentvlm.vlm.quantize.int8 import dequantize_int8, quantize_int8
from latentvlm.vlm.quantize.nvfp4 import (
    Nvfp4,
    decode_e2m1,
    dequantize_nvfp4,
    encode_e2m1,
    quantize_nvfp4,
    round_e2m1,
)

ROWS = torch.tensor(
    [
        [0, 0.1, -0.2, 0.3, -0.4, 0.5, 0.6, -0.7, 0.8, 0.9, -1, 1.1, 1.2, -1.3, 1.4, 1.5],
        [0.01, -0.02, 0.03, 0.04, 0.05, -0.06, 0.07, 0.08]
        + [0.09, 0.10, 0.11, -0.12, 0.13, 0.14, 0.15, 0.16],
    ]
)
TIES = torch.tensor([[0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0, 6.0]])
TIES = torch.cat([TIES, -TIES], dim=1)


def in_hex(codes: Tensor) -> str:
    return bytes(codes.flatten().tolist()).hex(" ")


def random_matrix(rows: int, columns: int, *, seed: int = 0) -> Tensor:
    """Rows of very different size, zeros here and there, a row and a block of zeros alone."""
    random = torch.Generator().manual_seed(seed)
    matrix = torch.randn(rows, columns, generator=random)
    matrix *= torch.exp(3 * torch.randn(rows, 1, generator=random))
    matrix[torch.rand(matrix.shape, generator=random) < 0.05] = 0
    matrix[1] = 0
    matrix[2, :16] = 0
    return matrix


def test_nvfp4_of_two_rows() -> None:
    packed = quantize_nvfp4(ROWS)
    assert packed.tensor_scale.item() == 0.0005580357392318547
    assert in_hex(packed.block_scales) == "7e 64"
    assert decode_e4m3(packed.block_scales).tolist() == [[448.0], [48.0]]
    assert in_hex(packed.codes[0]) == "10 2a 4b d4 65 6e f6 77"
    assert in_hex(packed.codes[1]) == "91 32 c4 55 65 e6 76 77"
    wide = dequantize_nvfp4(packed)
    expected = [0, 0.125, -0.25, 0.25, -0.375, 0.5, 0.5, -0.75]
    expected += [0.75, 1, -1, 1, 1, -1.5, 1.5, 1.5]
    torch.testing.assert_close(wide[0], torch.tensor(expected), rtol=1e-6, atol=0)
    assert wide[1].abs().unique().tolist() == pytest.approx(
        [0.013393, 0.026786, 0.040179, 0.053571, 0.080357, 0.107143, 0.160714], abs=5e-7
    )
    assert quantize_nvfp4(ROWS, divides=True).tensor_scale.item() == 1792.0


def test_nvfp4_ties_go_to_the_even_code() -> None:
    packed = quantize_nvfp4(TIES)
    assert packed.tensor_scale.item() == 0.0022321429569274187
    assert in_hex(packed.block_scales) == "7e"
    assert in_hex(packed.codes) == "20 42 64 76 a8 ca ec fe"


def test_nvfp4_of_zeros() -> None:
    zeros = torch.zeros(2, 32)
    for divides, scale in [(False, 0x38), (True, 0x20)]:
        packed = quantize_nvfp4(zeros, divides=divides)
        assert not packed.codes.any() and (packed.block_scales == scale).all()
        assert packed.tensor_scale.item() == 1.0
        assert torch.equal(dequantize_nvfp4(packed), zeros)
    assert not quantize_nvfp4(torch.tensor([[-0.0, 1.0] * 8])).codes[0, 0] & 0x0F


def test_every_e2m1_code_and_the_numbers_around_its_bounds() -> None:
    every = torch.arange(256, dtype=torch.uint8)[:, None]
    assert decode_e2m1(every).shape == (256, 2)
    middles = torch.tensor([0.0, 0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0, 6.0, 7.0, 1e9])
    near = torch.cat([middles, *(torch.nextafter(middles, torch.tensor(to)) for to in (9e9, -1.0))])
    near = torch.cat([near, -near])
    near = near[: len(near) // 2 * 2]
    assert torch.equal(round_e2m1(near), decode_e2m1(encode_e2m1(near)))
    codes = encode_e2m1(near)
    assert torch.stack([codes & 15, codes >> 4], -1).flatten().tolist() == [
        plain_e2m1(value) for value in near.tolist()
    ]


@pytest.mark.parametrize("shape", [(4, 16), (7, 64), (33, 256)])
def test_nvfp4_is_the_plain_codec(shape: tuple[int, int]) -> None:
    matrix = random_matrix(*shape)
    codes, scales, tensor_scale = plain_nvfp4_quantize(matrix)
    packed = quantize_nvfp4(matrix)
    assert torch.equal(packed.codes, codes)
    assert torch.equal(packed.block_scales, scales.view(torch.uint8))
    assert torch.equal(packed.tensor_scale.view(()), tensor_scale)
    plain = plain_nvfp4_dequantize(codes, scales, tensor_scale)
    assert torch.equal(dequantize_nvfp4(packed), plain)


def test_a_stack_is_its_matrices() -> None:
    stack = torch.stack([random_matrix(6, 48, seed=seed) for seed in range(3)])
    packed = quantize_nvfp4(stack)
    codes, scale = quantize_int8(stack)
    for expert, matrix in enumerate(stack):
        alone = quantize_nvfp4(matrix)
        assert torch.equal(packed.codes[expert], alone.codes)
        assert torch.equal(packed.tensor_scale[expert], alone.tensor_scale)
        assert torch.equal(dequantize_nvfp4(packed)[expert], dequantize_nvfp4(alone))
        assert torch.equal(codes[expert], quantize_int8(matrix)[0])
        for kind in ("tensor", "channel", "block"):
            whole, part = quantize_fp8(stack, kind), quantize_fp8(matrix, kind)
            assert torch.equal(whole[0][expert], part[0]), kind
            assert torch.equal(whole[1][expert], part[1]), kind


def test_fp8_of_one_row() -> None:
    row = torch.tensor([[0.1, -0.5, 1.0, -2.0]])
    codes, scale = quantize_fp8(row, "tensor")
    assert scale.item() == 0.004464285913854837
    assert in_hex(codes) == "5b ee 76 fe"
    assert decode_e4m3(codes).tolist() == [[22, -112, 224, -448]]
    expected = torch.tensor([[0.0982143, -0.5, 1.0, -2.0]])
    torch.testing.assert_close(dequantize_fp8(codes, scale), expected, rtol=1e-6, atol=0)


def test_every_e4m3_code_decodes_and_encodes_to_itself() -> None:
    every = torch.arange(256, dtype=torch.uint8)
    values = decode_e4m3(every)
    for code, value in enumerate(values.tolist()):
        sign, exponent, mantissa = -1 if code >> 7 else 1, code >> 3 & 15, code & 7
        if code & 0x7F == 0x7F:
            assert math.isnan(value)
        elif exponent:
            assert value == sign * 2.0 ** (exponent - 7) * (1 + mantissa / 8)
        else:
            assert value == sign * 2.0**-6 * mantissa / 8
    numbers = ~values.isnan()
    assert torch.equal(encode_e4m3(values)[numbers], every[numbers])
    assert encode_e4m3(torch.tensor([1e9, -1e9, 464.0])).tolist() == [0x7E, 0xFE, 0x7E]


def test_fp8_by_row_and_by_block() -> None:
    matrix = random_matrix(200, 300)
    codes, scale = quantize_fp8(matrix, "channel")
    assert scale.shape == (200, 1) and scale[1] == 1
    for row in (0, 1, 77):
        alone, alone_scale = quantize_fp8(matrix[row : row + 1], "tensor")
        assert torch.equal(codes[row : row + 1], alone) and scale[row] == alone_scale
    codes, scale = quantize_fp8(matrix, "block")
    wide = dequantize_fp8(codes, scale)
    assert scale.shape == (2, 3) and wide.shape == matrix.shape
    for rows in (slice(0, 128), slice(128, 200)):
        for columns in (slice(0, 128), slice(128, 256), slice(256, 300)):
            alone, alone_scale = quantize_fp8(matrix[rows, columns], "tensor")
            assert torch.equal(codes[rows, columns], alone)
            assert torch.equal(wide[rows, columns], dequantize_fp8(alone, alone_scale))


def test_int8_of_two_rows() -> None:
    rows = torch.tensor([[0.1, -0.5, 1.0, -2.0], [3.0, 1.0, -0.01, 0.0], [0.0, 0.0, -0.0, 0.0]])
    codes, scale = quantize_int8(rows)
    assert scale.flatten().tolist() == pytest.approx([0.0157480, 0.0236220, 1.0], abs=5e-8)
    assert codes.tolist() == [[6, -32, 64, -127], [127, 42, 0, 0], [0, 0, 0, 0]]
    assert torch.equal(dequantize_int8(codes, scale), codes * scale)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number_is_refused(bad: float) -> None:
    matrix = torch.ones(3, 32)
    matrix[1, 5] = bad
    for quantize in (quantize_nvfp4, quantize_int8, lambda w: quantize_fp8(w, "tensor")):
        with pytest.raises(InputError, match="NaN or infinity"):
            quantize(matrix)
    with pytest.raises(InputError, match="24 columns"):
        quantize_nvfp4(torch.ones(2, 24))


def test_very_small_and_large_numbers_stay_numbers() -> None:
    for size in (1e-45, 1e-38, 1e-30, 3e38):
        matrix = torch.full((2, 32), size)
        for divides in (False, True):
            assert torch.isfinite(dequantize_nvfp4(quantize_nvfp4(matrix, divides=divides))).all()
        assert torch.isfinite(dequantize_fp8(*quantize_fp8(matrix, "channel"))).all()
        assert torch.isfinite(dequantize_int8(*quantize_int8(matrix))).all()


@pytest.mark.parametrize("seed", range(3))
def test_nvfp4_is_that_of_compressed_tensors(seed: int) -> None:
    from compressed_tensors.compressors.nvfp4.base import NVFP4PackedCompressor
    from compressed_tensors.compressors.nvfp4.helpers import unpack_fp4_from_uint8
    from compressed_tensors.quantization import QuantizationScheme
    from compressed_tensors.quantization.lifecycle.forward import dequantize
    from compressed_tensors.quantization.quant_scheme import NVFP4A16
    from compressed_tensors.quantization.utils import calculate_qparams
    from compressed_tensors.quantization.utils.helpers import generate_gparam

    scheme = QuantizationScheme(targets=["Linear"], **NVFP4A16)
    assert scheme.weights is not None
    matrix = random_matrix(64, 256, seed=seed)
    global_scale = generate_gparam(matrix.min(), matrix.max())
    blocks = matrix.unflatten(-1, (-1, 16))
    scales, _ = calculate_qparams(
        blocks.amin(-1), blocks.amax(-1), scheme.weights, global_scale=global_scale
    )
    theirs = {"weight": matrix, "weight_scale": scales, "weight_global_scale": global_scale}
    packed = NVFP4PackedCompressor.compress(theirs, scheme)
    ours = quantize_nvfp4(matrix, divides=True)
    assert torch.equal(ours.codes, packed["weight_packed"])
    assert torch.equal(ours.block_scales, packed["weight_scale"].view(torch.uint8))
    assert torch.equal(ours.tensor_scale.view(1), packed["weight_global_scale"])
    values = unpack_fp4_from_uint8(packed["weight_packed"], 64, 256, dtype=torch.float32)
    wide = dequantize(values, scales.float(), args=scheme.weights, global_scale=global_scale)
    assert torch.equal(dequantize_nvfp4(ours), wide)


def test_the_two_conventions_agree() -> None:
    matrix = random_matrix(64, 256)
    ours = quantize_nvfp4(matrix)
    converted = Nvfp4(
        codes=ours.codes,
        block_scales=ours.block_scales,
        tensor_scale=1 / ours.tensor_scale,
        divides=True,
    )
    torch.testing.assert_close(
        dequantize_nvfp4(converted), dequantize_nvfp4(ours), rtol=1e-6, atol=0
    )


@pytest.mark.parametrize("kind", ["tensor", "channel"])
def test_fp8_is_that_of_compressed_tensors(kind) -> None:
    from compressed_tensors.quantization import QuantizationArgs
    from compressed_tensors.quantization.lifecycle.forward import dequantize, quantize
    from compressed_tensors.quantization.utils import calculate_qparams

    args = QuantizationArgs(num_bits=8, type="float", strategy=kind, symmetric=True)
    matrix = random_matrix(40, 96)
    matrix[1] = 0.3  # theirs has another scale for a row of zeros
    low, high = (
        (matrix.min(), matrix.max())
        if kind == "tensor"
        else (matrix.amin(-1, keepdim=True), matrix.amax(-1, keepdim=True))
    )
    scale, zero = calculate_qparams(low, high, args)
    codes, ours = quantize_fp8(matrix, kind)
    assert torch.equal(ours.view(-1), scale.view(-1))
    theirs = quantize(matrix, scale, zero, args, dtype=torch.float8_e4m3fn)
    assert torch.equal(codes, theirs.view(torch.uint8))
    assert torch.equal(dequantize_fp8(codes, ours), dequantize(theirs, scale, zero, args))


# ---- scales by search, and INT4 -------------------------------------------------------------


def plain_block_error(block: Tensor, scale: float, tensor_scale: float) -> float:
    step = torch.tensor(scale) * torch.tensor(tensor_scale)
    codes = [plain_e2m1(value) for value in (block / step).tolist()]
    sizes = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])
    wide = torch.stack([sizes[code & 7] * (-1 if code & 8 else 1) for code in codes]) * step
    return float((wide - block).square().sum())


def test_the_mse_search_finds_the_best_of_all_scales() -> None:
    matrix = random_matrix(6, 32)
    packed = quantize_nvfp4(matrix, search="mse")
    every = decode_e4m3(torch.arange(1, 127, dtype=torch.uint8)).tolist()
    tensor_scale = float(packed.tensor_scale)
    for row, column in [(0, 0), (0, 1), (3, 0), (4, 1), (5, 0)]:
        block = matrix[row, 16 * column : 16 * column + 16]
        found = float(decode_e4m3(packed.block_scales[row, column]))
        best = min(plain_block_error(block, scale, tensor_scale) for scale in every)
        assert plain_block_error(block, found, tensor_scale) == pytest.approx(best, rel=1e-5)
    assert packed.block_scales[1].tolist() == [0x38, 0x38]  # zeros keep what zeros have


@pytest.mark.parametrize("divides", [False, True])
def test_searched_scales_come_back_closer(divides: bool) -> None:
    matrix = torch.randn(64, 256, generator=torch.Generator().manual_seed(1))

    def error(search) -> float:
        packed = quantize_nvfp4(matrix, search=search, divides=divides)
        return float((dequantize_nvfp4(packed) - matrix).square().mean())

    usual, best, four = error("max"), error("mse"), error("four-over-six")
    assert best < four < usual
    # Nemotron 3 Ultra: four-over-six takes 16.4% of the error of the median weight
    assert 0.75 < four / usual < 0.95


def test_four_over_six_makes_a_block_end_at_six_or_at_four() -> None:
    matrix = random_matrix(32, 64, seed=3)
    packed = quantize_nvfp4(matrix, search="four-over-six")
    assert float(packed.tensor_scale) == pytest.approx(float(matrix.abs().max()) / (6 * 256))
    each = torch.stack([packed.codes & 7, packed.codes >> 4 & 7], -1).flatten(-2)
    ends = each.unflatten(-1, (-1, 16)).amax(-1)[matrix.unflatten(-1, (-1, 16)).amax(-1) > 0]
    assert {6, 7} <= set(ends.tolist())  # the codes of 4 and 6


def test_matrices_that_are_joined_share_their_scale() -> None:
    first, second = random_matrix(8, 32), random_matrix(8, 32, seed=1)
    largest = torch.stack([first.abs().max(), second.abs().max()]).max().view(1, 1)
    scales = {float(quantize_nvfp4(m, largest=largest).tensor_scale) for m in (first, second)}
    assert len(scales) == 1
    assert len({float(quantize_fp8(m, "tensor", largest=largest)[1]) for m in (first, second)}) == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_int4_is_that_of_compressed_tensors(dtype: torch.dtype) -> None:
    from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32
    from compressed_tensors.quantization import QuantizationArgs
    from compressed_tensors.quantization.lifecycle.forward import dequantize, quantize
    from compressed_tensors.quantization.utils import calculate_qparams

    args = QuantizationArgs(num_bits=4, type="int", strategy="group", group_size=32, symmetric=True)
    matrix = random_matrix(40, 96)
    matrix[1:3] = 0.3  # theirs has another scale for a group of zeros
    groups = matrix.unflatten(-1, (-1, 32))
    scale, zero = calculate_qparams(groups.amin(-1), groups.amax(-1), args)
    scale = scale.to(dtype)
    theirs = quantize(matrix, scale.float(), zero, args, dtype=torch.int8)
    codes, ours = quantize_int4(matrix, scale_dtype=dtype)
    assert torch.equal(ours, scale)
    assert torch.equal(codes.view(torch.int32), pack_to_int32(theirs, 4))
    assert torch.equal(dequantize_int4(codes, ours), dequantize(theirs, scale.float(), zero, args))


def test_int4_ties_zeros_and_what_it_cannot_hold() -> None:
    group = torch.tensor([7.5, -7.5, 0.5, 1.5, -0.5, -2.5, 0.0, -0.0] * 4)[None]
    codes, scale = quantize_int4(group)
    assert scale.tolist() == [[1.0]]
    wide = dequantize_int4(codes, scale)
    assert wide[0, :8].tolist() == [7, -8, 0, 2, 0, -2, 0, 0]
    codes, scale = quantize_int4(torch.zeros(2, 64))
    assert scale.eq(1).all() and not dequantize_int4(codes, scale).any()
    with pytest.raises(InputError, match="NaN or infinity"):
        quantize_int4(torch.full((1, 32), float("nan")))
    with pytest.raises(InputError, match="40 columns"):
        quantize_int4(torch.ones(1, 40))
    with pytest.raises(ConfigError, match="must be one of max, mse, four-over-six"):
        quantize_nvfp4(torch.ones(1, 16), search="best")  # type: ignore[arg-type]
