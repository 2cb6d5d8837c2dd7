"""The JSON in which a checkpoint declares its number formats, read.

ModelOpt writes it nested, as in `hf_quant_config.json`, or flat, as in `config.json`;
compressed-tensors has a style of its own.
"""

import re
from collections.abc import Mapping
from typing import Any

from ...errors import ConfigError
from .declared import MIXED, DeclaredFormats

_MODELOPT = ("FP8", "FP8_PER_CHANNEL_PER_TOKEN", "FP8_PB_WO", "NVFP4", "W4A16_NVFP4")
_CT_FORMATS = {
    "float-quantized": "FP8",
    "nvfp4-pack-quantized": "NVFP4",
    "int-quantized": "INT8",
    "pack-quantized": "INT4",
}
_CT_MIXED = ("mixed-precision", "dense", None)


def declared_from_json(
    values: Any, *, source: str, apart: Mapping[str, Any] | None = None
) -> DeclaredFormats:
    """Read either style of ModelOpt, or that of compressed-tensors.

    Args:
        values: the JSON object.
        source: the file, for messages.
        apart: `hf_quant_config.json`, asked for the list of layers that `values` may lack.

    Raises:
        ConfigError: it declares what is not supported, or contradicts itself.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{source} describes its quantization by {values!r}, not by an object.")
    method = str(values.get("quant_method") or "modelopt").lower()
    if method == "compressed-tensors":
        return _from_compressed_tensors(values, source)
    if not method.startswith("modelopt"):
        raise ConfigError(
            f"{source} says the weights are quantized by {method}; modelopt and "
            "compressed-tensors can be read."
        )
    inner = values.get("quantization", values)
    return _from_modelopt(inner if isinstance(inner, Mapping) else {}, source, apart)


def _from_modelopt(
    values: Mapping[str, Any], source: str, apart: Mapping[str, Any] | None
) -> DeclaredFormats:
    algorithm = str(values.get("quant_algo") or "").upper()
    if algorithm != MIXED:
        _check_algorithm(algorithm, source)
    groups = [group for group in _groups(values, source).values() if isinstance(group, Mapping)]
    if algorithm == "NVFP4" and groups and not any(g.get("input_activations") for g in groups):
        algorithm = "W4A16_NVFP4"
    layers: dict[str, str] = {}
    if algorithm == MIXED:
        listed = values.get("quantized_layers")
        if not listed and apart is not None:
            listed = (apart.get("quantization") or {}).get("quantized_layers")
        if not isinstance(listed, Mapping) or not listed:
            raise ConfigError(f"{source} says {MIXED} but has no quantized_layers.")
        for module, each in listed.items():
            name = str(each.get("quant_algo") or "").upper() if isinstance(each, Mapping) else ""
            _check_algorithm(name, source, module)
            _check_group_size(each, source, module)
            layers[module] = name
        check_fused(layers, source)
    _check_group_size(values, source)
    key = "exclude_modules" if values.get("ignore") is None else "ignore"
    kv_cache = values.get("kv_cache_quant_algo")
    scheme = values.get("kv_cache_scheme")
    return DeclaredFormats(
        source=source,
        producer="modelopt",
        algorithm=algorithm,
        excluded=_patterns(values, key, source),
        layers=layers,
        kv_cache=str(kv_cache).upper() if kv_cache else _scheme_name(scheme, source),
    )


def _from_compressed_tensors(values: Mapping[str, Any], source: str) -> DeclaredFormats:
    overall = values.get("format")
    targets: list[tuple[str, str]] = []
    for name, group in _groups(values, source).items():
        group = group if isinstance(group, Mapping) else {}
        stored = group.get("format") or (overall if overall not in _CT_MIXED else None)
        if stored not in _CT_FORMATS:
            raise ConfigError(
                f"{source} has the format {stored!r} in {name}; "
                f"{' and '.join(_CT_FORMATS)} can be read."
            )
        algorithm = _CT_FORMATS[stored]
        _check_int_bits(algorithm, group, source, name)
        if algorithm == "NVFP4" and not group.get("input_activations"):
            algorithm = "W4A16_NVFP4"
        named = _patterns(group, "targets", source) or ("Linear",)
        targets += [(target, algorithm) for target in named]
    if not targets:
        raise ConfigError(f"{source} is of compressed-tensors but has no config_groups.")
    algorithms = {algorithm for _, algorithm in targets}
    return DeclaredFormats(
        source=source,
        producer="compressed-tensors",
        algorithm=algorithms.pop() if len(algorithms) == 1 else MIXED,
        excluded=_patterns(values, "ignore", source),
        targets=tuple(targets),
        kv_cache=_scheme_name(values.get("kv_cache_scheme"), source),
    )


def check_fused(layers: Mapping[str, str], source: str) -> None:
    """Raise a ConfigError unless q, k and v of a layer agree, and all experts of a layer.

    Readers that join them need one algorithm; a module that is not listed counts as another.
    """
    parts: dict[str, dict[str, str]] = {}
    for module, algorithm in layers.items():
        experts = re.match(r"(.*\.experts)\.\d+\.", module)
        joined = re.match(r"(.*)\.(q|k|v)_proj$", module)
        if experts:
            parts.setdefault(experts[1], {})[module] = algorithm
        elif joined:
            parts.setdefault(f"{joined[1]}.qkv_proj", {})[module] = algorithm
    for joint, members in parts.items():
        kinds = {*members.values()}
        if joint.endswith(".qkv_proj") and len(members) < 3:
            kinds.add("none")
        if len(kinds) > 1:
            raise ConfigError(
                f"{source} gives the parts of {joint} different algorithms "
                f"({', '.join(sorted(kinds))}); they must have one."
            )


def _check_algorithm(name: str, source: str, module: str = "") -> None:
    if name not in _MODELOPT:
        at = f" for {module}" if module else ""
        raise ConfigError(
            f"{source} has the quant_algo {name or None!r}{at}; known are "
            f"{', '.join([*_MODELOPT, MIXED])}."
        )


def _check_group_size(values: Any, source: str, module: str = "") -> None:
    size = values.get("group_size")
    algorithm = str(values.get("quant_algo") or "").upper()
    if size is not None and size != 16 and "NVFP4" in algorithm:
        at = f" for {module}" if module else ""
        raise ConfigError(f"{source} has a group_size of {size}{at}; NVFP4 has 16.")


def _check_int_bits(algorithm: str, group: Mapping[str, Any], source: str, name: str) -> None:
    weights = group.get("weights")
    bits = weights.get("num_bits") if isinstance(weights, Mapping) else None
    if algorithm.startswith("INT") and bits not in (None, int(algorithm[3:])):
        raise ConfigError(
            f"{source} has {bits} bits in {name}, but integers are read in 8 bits (int-quantized) "
            "and in 4 (pack-quantized)."
        )


def _groups(values: Mapping[str, Any], source: str) -> Mapping[str, Any]:
    groups = values.get("config_groups") or {}
    if not isinstance(groups, Mapping):
        raise ConfigError(f"{source} has config_groups that are no object.")
    return groups


def _patterns(values: Mapping[str, Any], key: str, source: str) -> tuple[str, ...]:
    """The patterns of modules under a key; each is one that can be matched."""
    patterns = values.get(key) or ()
    if not isinstance(patterns, list | tuple):
        raise ConfigError(f"{source} has {key} {patterns!r}, which is no list of modules.")
    for pattern in map(str, patterns):
        try:
            re.compile(pattern.removeprefix("re:") if pattern.startswith("re:") else "")
        except re.error as error:
            raise ConfigError(f"{source} has {pattern!r} in {key}: {error}.") from error
    return tuple(map(str, patterns))


def _scheme_name(scheme: Any, source: str) -> str | None:
    """The number format of a `kv_cache_scheme`."""
    if scheme is None:
        return None
    if not isinstance(scheme, Mapping):
        raise ConfigError(f"{source} has a kv_cache_scheme {scheme!r}, which is no object.")
    bits, kind = scheme.get("num_bits"), scheme.get("type")
    return "FP8" if (bits, kind) == (8, "float") else f"{kind} of {bits} bits"
