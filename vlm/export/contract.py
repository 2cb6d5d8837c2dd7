"""What vLLM's and SGLang's loaders require of a ModelOpt checkpoint, as far as files can show it.

Read from vLLM 0.33 (`model_executor/layers/quantization/modelopt.py`, `model_loader/
weight_utils.py`) and SGLang 0.5.23 (`layers/quantization/modelopt_quant.py`); each rule is told in
docs/export.md. What cannot be seen in the files, such as a kernel for the card, is not here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...data.processor_files import read_json
from ..checkpoint.shards import ShardReader
from ..quantize.declared import MIXED
from ..quantize.declared_files import QUANT_CONFIG_FILE
from ..quantize.declared_json import declared_from_json
from ..quantize.fp8 import BLOCK

_KNOWN = {"FP8", "FP8_PER_CHANNEL_PER_TOKEN", "FP8_PB_WO", "NVFP4", "W4A16_NVFP4", "MXFP8", MIXED}
_PARTS: dict[str, dict[str, str]] = {
    "FP8": {"weight": "F8_E4M3", "weight_scale": "F32", "input_scale": "F32"},
    "FP8_PER_CHANNEL_PER_TOKEN": {"weight": "F8_E4M3", "weight_scale": "F32"},
    "FP8_PB_WO": {"weight": "F8_E4M3", "weight_scale": "F32"},
    "NVFP4": {
        "weight": "U8",
        "weight_scale": "F8_E4M3",
        "weight_scale_2": "F32",
        "input_scale": "F32",
    },
    "W4A16_NVFP4": {"weight": "U8", "weight_scale": "F8_E4M3", "weight_scale_2": "F32"},
}
_SCALARS = ("weight_scale_2", "input_scale")


def breaches(folder: str | Path, reader: ShardReader) -> list[str]:
    """What a loader of ModelOpt checkpoints would stumble over, in sentences."""
    folder = Path(folder)
    values = read_json(folder / "config.json").get("quantization_config")
    apart = folder / QUANT_CONFIG_FILE
    if not isinstance(values, Mapping) or not apart.is_file():
        return [f"config.json and {QUANT_CONFIG_FILE} must both say how the weights are quantized"]
    nested = read_json(apart)
    found = [*_flat(values), *_nested(nested)]
    if found:
        return found
    flat = declared_from_json(values, source="config.json", apart=nested)
    other = declared_from_json(nested, source=QUANT_CONFIG_FILE)
    modules = {name.rpartition(".")[0] for name in reader.files if name.endswith(".weight")}
    for module in sorted(modules):
        algorithm = flat.algorithm_of(module)
        if other.algorithm_of(module) != algorithm:
            found.append(
                f"{module} is {algorithm} by config.json, {other.algorithm_of(module)} by "
                f"{QUANT_CONFIG_FILE}"
            )
        if len(reader.shape(f"{module}.weight")) not in (2, 3) or _is_no_product(module):
            continue  # loaders give these no scheme
        found += _tensors(reader, module, algorithm)
    if flat.kv_cache == "FP8":
        found += _caches(reader)
    return found


def _flat(values: Mapping[str, Any]) -> list[str]:
    found = []
    if values.get("quant_method") != "modelopt":
        found.append("quantization_config.quant_method must be modelopt")
    if values.get("quant_algo") not in _KNOWN:
        found.append(f"quant_algo is {values.get('quant_algo')!r}, which no loader knows")
    if not isinstance(values.get("ignore"), list):
        found.append("quantization_config.ignore must be a list")
    if not isinstance(values.get("config_groups"), Mapping) or not values["config_groups"]:
        found.append("quantization_config.config_groups must say what the groups are")
    if values.get("quant_algo") == MIXED and not values.get("quantized_layers"):
        found.append(f"{MIXED} must list quantized_layers")
    return found


def _nested(values: Mapping[str, Any]) -> list[str]:
    inner = values.get("quantization")
    if not isinstance(inner, Mapping) or values.get("producer", {}).get("name") != "modelopt":
        return [f"{QUANT_CONFIG_FILE} must have a producer named modelopt and a quantization"]
    found = []
    # vLLM raises without them
    for key in ("quant_algo", "kv_cache_quant_algo", "exclude_modules"):
        if key not in inner:
            found.append(f"{QUANT_CONFIG_FILE} lacks quantization.{key}")
    if inner.get("quant_algo") == "NVFP4" and inner.get("group_size") != 16:
        found.append(f"{QUANT_CONFIG_FILE} must have a group_size of 16")
    return found


def _tensors(reader: ShardReader, module: str, algorithm: str | None) -> list[str]:
    wanted = {"weight": None} if algorithm is None else _PARTS.get(algorithm, {})
    stack = reader.shape(f"{module}.weight")[:-2]  # of experts under one name: a number for each
    kind = reader.dtype(f"{module}.weight")
    if algorithm is None:
        few = kind in ("U8", "I8", "F8_E4M3")
        return [f"{module} is not declared quantized, but its weight is {kind}"] if few else []
    found = []
    for leaf, dtype in wanted.items():
        name = f"{module}.{leaf}"
        if name not in reader.files:
            found.append(f"{name} is missing")
        elif reader.dtype(name) != dtype:
            found.append(f"{name} is {reader.dtype(name)} and must be {dtype}")
        elif leaf in _SCALARS and reader.shape(name) not in ((), (1,), stack, (*stack, 1)):
            found.append(f"{name} is {list(reader.shape(name))} and must be one number")
    if not found and algorithm.startswith("FP8"):
        *_, rows, columns = reader.shape(f"{module}.weight")
        scale = reader.shape(f"{module}.weight_scale")
        blocks = (-(-rows // BLOCK), -(-columns // BLOCK))
        wanted_shapes = {
            "FP8": ((), (1,), stack, (*stack, 1)),
            "FP8_PER_CHANNEL_PER_TOKEN": ((*stack, rows), (*stack, rows, 1)),
            "FP8_PB_WO": ((*stack, *blocks), (*stack, blocks[0], 1, blocks[1], 1)),
        }[algorithm]
        if scale not in wanted_shapes:
            found.append(
                f"{module}.weight_scale is {list(scale)}, which is no scale of {algorithm}"
            )
    if not found and "NVFP4" in algorithm:
        *rows, half = reader.shape(f"{module}.weight")
        scales = reader.shape(f"{module}.weight_scale")
        if scales != (*rows, half // 8):
            found.append(f"{module}.weight_scale is {list(scales)}, not {[*rows, half // 8]}")
    return found


def _caches(reader: ShardReader) -> list[str]:
    found = []
    for name in reader.files:
        if ".mtp." in f".{name}" or not name.endswith((".k_proj.weight", ".v_proj.weight")):
            continue
        module, letter = name.removesuffix(".weight"), name.removesuffix("_proj.weight")[-1]
        scale = f"{module}.{letter}_scale"
        if scale not in reader.files:
            found.append(f"{scale} is missing, and the cache is declared FP8")
        elif reader.dtype(scale) != "F32" or reader.shape(scale) not in ((), (1,)):
            found.append(f"{scale} must be one F32 number")
    return found


def _is_no_product(module: str) -> bool:
    return module.rpartition(".")[2] in ("embeddings", "embed_tokens", "conv1d")
