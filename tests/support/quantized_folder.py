"""Quantized checkpoints written from the formats' definitions, without latentvlm's codecs.

Slow, one value at a time, and in the layouts of ModelOpt and compressed-tensors.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

SIZES = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]


def plain_e2m1(value: float) -> int:
    """The code of a number: the nearest size, the even code on a tie."""
    size = abs(value)
    code = sum(size > bound for bound in (0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0))
    code += size in (0.75, 1.75, 3.5)
    return (8 if value < 0 else 0) | code


def plain_nvfp4_quantize(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """ModelOpt's `weight`, `weight_scale` and `weight_scale_2`."""
    amax = matrix.abs().max()
    tensor_scale = (amax / 2688).float() if amax else torch.tensor(1.0)
    blocks = matrix.view(matrix.shape[0], -1, 16)
    scales = blocks.abs().amax(-1) / (6 * tensor_scale)
    scales[scales == 0] = 1
    scales = scales.clamp(2**-9, 448).to(torch.float8_e4m3fn)
    scaled = (blocks / (scales.float() * tensor_scale)[..., None]).view(matrix.shape)
    codes = torch.tensor([[plain_e2m1(v) for v in row] for row in scaled.tolist()])
    codes = codes.to(torch.uint8)
    return (codes[:, 1::2] << 4) | codes[:, 0::2], scales, tensor_scale


def plain_nvfp4_dequantize(codes: Tensor, scales: Tensor, tensor_scale: Tensor) -> Tensor:
    each = torch.stack([codes & 15, codes >> 4], -1).flatten(-2).long()
    values = torch.tensor(SIZES + [-size for size in SIZES])[each]
    steps = (scales.float() * tensor_scale)[..., None]
    return (values.view(codes.shape[0], -1, 16) * steps).flatten(1)


# ---- folders --------------------------------------------------------------------------------

LINEAR = re.compile(
    r"\.((in|out|q|k|v|o|gate|up|down|x|dt)_proj|fc[12]_latent_proj|(in|out)put_linear)\.weight$"
)


@dataclass(frozen=True)
class Quantized:
    """One matrix: the tensors that are written for it, by suffix, and the weight they mean."""

    tensors: dict[str, Tensor]
    weight: Tensor


def modelopt_nvfp4(matrix: Tensor) -> Quantized:
    codes, scales, tensor_scale = plain_nvfp4_quantize(matrix)
    return Quantized(
        {"weight": codes, "weight_scale": scales, "weight_scale_2": tensor_scale},
        plain_nvfp4_dequantize(codes, scales, tensor_scale),
    )


def modelopt_nvfp4_with_input_scale(matrix: Tensor) -> Quantized:
    made = modelopt_nvfp4(matrix)
    return Quantized({**made.tensors, "input_scale": torch.tensor(0.01)}, made.weight)


def compressed_nvfp4(matrix: Tensor) -> Quantized:
    codes, scales, tensor_scale = plain_nvfp4_quantize(matrix)
    global_scale = (1 / tensor_scale).reshape(1)
    each = torch.stack([codes & 15, codes >> 4], -1).flatten(-2).long()
    values = torch.tensor(SIZES + [-size for size in SIZES])[each].view(len(codes), -1, 16)
    tensors = {
        "weight_packed": codes,
        "weight_scale": scales,
        "weight_global_scale": global_scale,
        "input_global_scale": torch.tensor([100.0]),
    }
    return Quantized(tensors, (values * (scales.float() / global_scale)[..., None]).flatten(1))


def fp8(matrix: Tensor) -> Quantized:
    scale = (matrix.abs().max() / 448).float()
    codes = (matrix / scale).to(torch.float8_e4m3fn)
    tensors = {"weight": codes, "weight_scale": scale, "input_scale": torch.tensor([0.5])}
    return Quantized(tensors, codes.float() * scale)


def fp8_by_row(matrix: Tensor) -> Quantized:
    scale = matrix.abs().amax(1) / 448
    codes = (matrix / scale[:, None]).to(torch.float8_e4m3fn)
    return Quantized({"weight": codes, "weight_scale": scale}, codes.float() * scale[:, None])


def fp8_by_row_in_bfloat16(matrix: Tensor) -> Quantized:
    scale = (matrix.abs().amax(1, keepdim=True) / 448).to(torch.bfloat16)
    codes = (matrix / scale.float()).clamp(-448, 448).to(torch.float8_e4m3fn)
    return Quantized({"weight": codes, "weight_scale": scale}, codes.float() * scale.float())


def fp8_by_block(matrix: Tensor) -> Quantized:
    rows, columns = -(-matrix.shape[0] // 128), -(-matrix.shape[1] // 128)
    scale = torch.empty(rows, 1, columns, 1)
    codes, wide = torch.empty(matrix.shape, dtype=torch.float8_e4m3fn), torch.empty(matrix.shape)
    for i in range(rows):
        for j in range(columns):
            block = slice(128 * i, 128 * i + 128), slice(128 * j, 128 * j + 128)
            scale[i, 0, j, 0] = matrix[block].abs().max() / 448
            codes[block] = (matrix[block] / scale[i, 0, j, 0]).to(torch.float8_e4m3fn)
            wide[block] = codes[block].float() * scale[i, 0, j, 0]
    return Quantized({"weight": codes, "weight_scale": scale}, wide)


def int8_by_row(matrix: Tensor) -> Quantized:
    scale = matrix.abs().amax(1, keepdim=True) / 127.5
    codes = (matrix / scale).round().clamp(-128, 127)
    tensors = {"weight": codes.to(torch.int8), "weight_scale": scale}
    return Quantized(tensors, codes * scale)


def int4_by_group(matrix: Tensor) -> Quantized:
    """Eight codes of a row in each int32, the first in its lowest four bits."""
    groups = matrix.unflatten(1, (-1, 16))
    scale = groups.abs().amax(-1) / 7.5
    codes = (groups / scale[..., None]).round().clamp(-8, 7)
    eights = (codes.flatten(1).long() + 8).unflatten(1, (-1, 8))
    words = (eights << torch.arange(0, 32, 4)).sum(-1)
    words = torch.where(words >= 2**31, words - 2**32, words).to(torch.int32)
    shape = torch.tensor(matrix.shape)
    tensors = {"weight_packed": words, "weight_scale": scale, "weight_shape": shape}
    return Quantized(tensors, (codes * scale[..., None]).flatten(1))


def each_of(stack: Tensor, codec: Callable[[Tensor], Quantized]) -> Quantized:
    """A matrix, or all of a stack under one name."""
    if stack.dim() == 2:
        return codec(stack)
    made = [codec(matrix) for matrix in stack]
    tensors = {
        leaf: torch.stack([one.tensors[leaf].view(_BYTES.get(t.dtype, t.dtype)) for one in made])
        for leaf, t in made[0].tensors.items()
    }
    tensors = {leaf: part.view(made[0].tensors[leaf].dtype) for leaf, part in tensors.items()}
    return Quantized(tensors, torch.stack([one.weight for one in made]))


_BYTES = {torch.float8_e4m3fn: torch.uint8}  # torch does not stack what it cannot add


def mixed(matrix_name: str) -> Callable[[Tensor], Quantized]:
    """As in Nemotron 3 Super: the routed experts in NVFP4, the rest in FP8."""
    return modelopt_nvfp4 if ".experts." in matrix_name else fp8


def quantize_folder(
    folder: Path,
    codec: Callable[[Tensor], Quantized],
    *,
    by_name: Callable[[str], Callable[[Tensor], Quantized]] | None = None,
) -> dict[str, Tensor]:
    """Quantize the Linear weights of a folder in place, into one file.

    Returns:
        The weights that the new tensors mean, by their names on disk.
    """
    meant, tensors = {}, {}
    for path in folder.glob("*.safetensors"):
        tensors |= load_file(path)
        path.unlink()
    (folder / "model.safetensors.index.json").unlink(missing_ok=True)
    for name in [name for name in tensors if LINEAR.search(name)]:
        if "mtp." in name:
            continue
        module = name.removesuffix(".weight")
        made = each_of(tensors.pop(name).float(), by_name(name) if by_name else codec)
        tensors |= {f"{module}.{leaf}": part for leaf, part in made.tensors.items()}
        meant[name] = made.weight
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return meant


def declare(folder: Path, values: dict, *, file: str = "config.json") -> None:
    """Write a quantization's JSON: flat into `config.json`, or nested into a file of its own."""
    if file == "config.json":
        config = json.loads((folder / file).read_text())
        values = {**config, "quantization_config": values}
    (folder / file).write_text(json.dumps(values))


def nested(algorithm: str, **more) -> dict:
    """`hf_quant_config.json` of ModelOpt."""
    quantization = {"quant_algo": algorithm, "kv_cache_quant_algo": None, **more}
    return {"producer": {"name": "modelopt", "version": "0.29.0"}, "quantization": quantization}


def flat(algorithm: str, *, activations: bool = True, **more) -> dict:
    """`quantization_config` of ModelOpt."""
    bits = {"num_bits": 8 if algorithm == "FP8" else 4, "type": "float", "dynamic": False}
    if "NVFP4" in algorithm:
        bits["group_size"] = 16
    group = {"weights": bits, "targets": ["Linear"]}
    if activations:
        group["input_activations"] = bits
    return {
        "config_groups": {"group_0": group},
        "quant_algo": algorithm,
        "quant_method": "modelopt",
        "ignore": ["lm_head"],
        **more,
    }


def compressed(form: str, **more) -> dict:
    """`quantization_config` of compressed-tensors."""
    weights: dict = {"num_bits": 8, "type": "float", "strategy": "channel", "symmetric": True}
    if form == "nvfp4-pack-quantized":
        weights |= {"num_bits": 4, "strategy": "tensor_group", "group_size": 16}
    if form == "pack-quantized":
        weights |= {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 16}
    if form == "int-quantized":
        weights["type"] = "int"
    return {
        "quant_method": "compressed-tensors",
        "format": form,
        "quantization_status": "compressed",
        "ignore": ["lm_head", "re:.*mixer.gate.*"],
        "config_groups": {
            "group_0": {"targets": ["Linear"], "weights": weights, "input_activations": None}
        },
        **more,
    }


def layers_of(meant: dict[str, Tensor], algorithm: Callable[[str], str]) -> dict:
    """`quantized_layers` of a mixed checkpoint."""
    return {
        name.removesuffix(".weight"): {"quant_algo": algorithm(name), "group_size": 16}
        for name in meant
    }
