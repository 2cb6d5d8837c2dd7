"""The JSON that says how a written checkpoint is quantized, in either layout."""

import re
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

from ..checkpoint.names import Family
from ..config import LanguageConfig, VisionLanguageConfig
from ..quantize.classes import MTP, PROJECTOR, VISION, class_of
from ..quantize.weight_formats import WeightFormat
from .layouts import algorithm_of, int4_group
from .plan import Entry, ExportPlan

KV_SCHEME = {"dynamic": False, "num_bits": 8, "type": "float"}
_PRODUCER = "modelopt"  # readers choose their loader by it
_CT_FORMATS = {
    "FP8": "float-quantized",
    "NVFP4": "nvfp4-pack-quantized",
    "INT8": "int-quantized",
    "INT4": "pack-quantized",
}
_NUMBERS = re.compile(r"(?<=\.layers\.)\d+(?=\.)")
_EXPERT = re.compile(r"(?<=\.experts\.)\d+(?=\.)")
_NOT_DRAFT = r"re:(?!.*mtp\.)"


def modelopt_nested(plan: ExportPlan, excluded: list[str]) -> dict[str, Any]:
    """`hf_quant_config.json`."""
    kinds = {algorithm_of(form) for form in plan.formats.values()}
    quantization: dict[str, Any] = {"kv_cache_quant_algo": plan.recipe.kv_cache}
    if len(kinds) > 1:
        quantization |= {
            "quant_algo": "MIXED_PRECISION",
            "quantized_layers": _layers(plan.formats),
            "exclude_modules": excluded,
        }
    else:
        (kind,) = kinds
        quantization |= {"quant_algo": kind, "exclude_modules": excluded}
        if "NVFP4" in kind:
            quantization["group_size"] = 16
    return {"producer": _producer(), "quantization": quantization}


def modelopt_flat(plan: ExportPlan, excluded: list[str]) -> dict[str, Any]:
    """`quantization_config` of `config.json`."""
    by_kind: dict[str, list[str]] = {}
    for module, form in plan.formats.items():
        by_kind.setdefault(algorithm_of(form), []).append(module)
    forms = {algorithm_of(form): form for form in plan.formats.values()}
    is_mixed = len(by_kind) > 1
    values: dict[str, Any] = {
        "config_groups": {
            f"group_{idx}": _modelopt_group(
                forms[kind], sorted(by_kind[kind]) if is_mixed else ["Linear"]
            )
            for idx, kind in enumerate(sorted(by_kind))
        },
        "ignore": excluded,
        "quant_algo": "MIXED_PRECISION" if is_mixed else next(iter(by_kind)),
        "producer": _producer(),
        "quant_method": "modelopt",
    }
    if is_mixed:
        values["quantized_layers"] = _layers(plan.formats)
    if plan.recipe.kv_cache:
        values["kv_cache_scheme"] = KV_SCHEME
    return values


def compressed_tensors_config(plan: ExportPlan) -> dict[str, Any]:
    """`quantization_config` of `config.json`; modules by their layers, whatever their prefix is."""
    groups: dict[tuple[WeightFormat, int], list[str]] = {}
    for entry in plan.entries:
        if entry.form is not None:
            size = int4_group(entry.form, entry.shape[-1]) if entry.form.stored == "INT4" else 0
            groups.setdefault((entry.form, size), []).append(entry.module)
    formats = {_CT_FORMATS[form.stored] for form, _ in groups}
    config_groups = {}
    for idx, ((form, size), modules) in enumerate(groups.items()):
        group = _ct_group(form, size)
        group["targets"] = ["Linear"] if len(groups) == 1 else patterns(modules)
        group["format"] = _CT_FORMATS[form.stored]
        config_groups[f"group_{idx}"] = group
    return {
        "quant_method": "compressed-tensors",
        "version": "0.20.0",
        "format": formats.pop() if len(formats) == 1 else "mixed-precision",
        "quantization_status": "compressed",
        "config_groups": config_groups,
        "ignore": patterns(_linear_modules(plan)),
        "kv_cache_scheme": {**KV_SCHEME, "strategy": "tensor", "symmetric": True}
        if plan.recipe.kv_cache
        else None,
        "global_compression_ratio": None,
    }


def modelopt_excluded(
    plan: ExportPlan, family: Family, config: VisionLanguageConfig | LanguageConfig
) -> list[str]:
    """The modules left as they were, each by its name; towers, projector and draft head by theirs.

    Readers look for a pattern anywhere in a module's name, so nothing shorter is written than
    what is meant: `language_model*`, for one, would take the whole model.
    """
    names = []
    for entry in plan.entries:
        kind = class_of(entry.name).name
        if entry.form is None and entry.parts and len(entry.shape) >= 2 and kind != MTP:
            names.append(entry.module if kind not in (VISION, PROJECTOR) else _top(entry.module))
    for entry in plan.entries:
        if entry.parts and class_of(entry.name).name == MTP:
            names += ["mtp*", f"{entry.module.partition('mtp.')[0]}mtp*"]
    return sorted({*names})


def patterns(modules: Iterable[str]) -> list[str]:
    """Regular expressions for exactly these modules under any prefix; none reaches a draft head."""
    by_shape: dict[tuple[str, bool], set[int]] = {}
    found: list[str] = []
    for module in modules:
        inner = f".{module}"
        layer = _NUMBERS.search(inner)
        if layer is None or "mtp." in inner:
            found.append(module)
            continue
        after = inner[layer.end() :]
        is_expert = _EXPERT.search(inner) is not None
        after = re.escape(_EXPERT.sub("@", after)).replace("@", r"\d+")
        by_shape.setdefault((after, is_expert), set()).add(int(layer[0]))
    for (after, _), layers in by_shape.items():
        numbers = "|".join(map(str, sorted(layers)))
        found.append(f"{_NOT_DRAFT}(?:.*\\.)?layers\\.(?:{numbers}){after}$")
    return found


def _linear_modules(plan: ExportPlan) -> list[str]:
    """Products that stay as they are: what a reader would otherwise look for a scheme for."""
    return [
        entry.module
        for entry in plan.entries
        if entry.form is None and entry.parts and _is_product(entry)
    ]


def _is_product(entry: Entry) -> bool:
    kind = class_of(entry.name).name
    is_weight = entry.specs[0].name.endswith(".weight")
    return is_weight and len(entry.shape) == 2 and kind not in ("embeddings", "norms-and-vectors")


def _top(module: str) -> str:
    return module.partition(".")[0] + "*"


def _layers(formats: Mapping[str, WeightFormat]) -> dict[str, dict[str, Any]]:
    return {
        module: {"quant_algo": algorithm_of(form)}
        | ({"group_size": 16} if form.stored == "NVFP4" else {})
        for module, form in formats.items()
    }


def _modelopt_group(form: WeightFormat, targets: list[str]) -> dict[str, Any]:
    numbers: dict[str, Any] = {"dynamic": False, "num_bits": 8, "type": "float"}
    if form.stored == "NVFP4":
        numbers |= {"num_bits": 4, "group_size": 16}
    group: dict[str, Any] = {"weights": numbers, "targets": targets}
    if form.has_input_scale:
        group["input_activations"] = numbers
    elif form.kind == "FP8" and form.granularity == "channel":
        group["input_activations"] = {**numbers, "dynamic": True}
    return group


def _ct_group(form: WeightFormat, int4_size: int) -> dict[str, Any]:
    weights: dict[str, Any] = {"symmetric": True, "dynamic": False, "type": "float"}
    inputs: dict[str, Any] | None = None
    if form.stored == "NVFP4":
        weights |= {"num_bits": 4, "strategy": "tensor_group", "group_size": 16}
        # what the stored scales are in; readers round to it again otherwise
        weights["scale_dtype"] = "torch.float8_e4m3fn"
        if form.has_input_scale:
            inputs = {**weights, "dynamic": "local"}
    elif form.stored == "FP8":
        weights |= {"num_bits": 8, "strategy": form.granularity}
        if form.granularity == "block":
            weights["block_structure"] = [128, 128]
        if form.has_input_scale:
            inputs = {**weights}
        else:
            inputs = {**weights, "dynamic": True, "strategy": "token"}
            inputs.pop("block_structure", None)
    elif form.stored == "INT8":
        weights |= {"num_bits": 8, "type": "int", "strategy": "channel"}
    else:
        weights |= {"num_bits": 4, "type": "int", "strategy": "group", "group_size": int4_size}
    return {"weights": weights, "input_activations": inputs, "output_activations": None}


def _producer() -> dict[str, str]:
    return {"name": _PRODUCER, "version": f"latentvlm-{version('latentvlm')}"}
