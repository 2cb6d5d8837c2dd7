"""What the JSON of a checkpoint declares about its number formats.

ModelOpt writes it nested in `hf_quant_config.json` or flat as `quantization_config` of
`config.json`, where it wins; compressed-tensors writes the latter. The tensors have the last
word on what a weight is: this says what else to expect of them, and names what is unknown.
Module names are those on disk.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ...data.processor_files import read_json
from ...errors import ConfigError

QUANT_CONFIG_FILE = "hf_quant_config.json"
# What weights look like under each algorithm; how activations would be rounded is not followed.
ALGORITHMS = {
    "FP8": "FP8",
    "FP8_PER_CHANNEL_PER_TOKEN": "FP8",
    "FP8_PB_WO": "FP8",
    "NVFP4": "NVFP4",
    "W4A16_NVFP4": "NVFP4",
    "INT8": "INT8",
    "INT4": "INT4",
}
_MODELOPT = ("FP8", "FP8_PER_CHANNEL_PER_TOKEN", "FP8_PB_WO", "NVFP4", "W4A16_NVFP4")
MIXED = "MIXED_PRECISION"
_CT_FORMATS = {
    "float-quantized": "FP8",
    "nvfp4-pack-quantized": "NVFP4",
    "int-quantized": "INT8",
    "pack-quantized": "INT4",
}
_CT_MIXED = ("mixed-precision", "dense", None)
_ALWAYS_EXCLUDED = ("vision_tower", "vision_model")
_NESTED = ("text_config", "llm_config")
_KEYS = ("quantization_config", "compression_config")


@dataclass(frozen=True, kw_only=True)
class DeclaredFormats:
    """A checkpoint's declared number formats.

    Attributes:
        source: the file, for messages.
        producer: "modelopt" or "compressed-tensors".
        algorithm: ModelOpt's name for it, MIXED_PRECISION included.
        excluded: names and patterns of modules left as they were.
        layers: the algorithm of each module listed by itself (MIXED_PRECISION).
        targets: patterns of modules and their algorithm (compressed-tensors).
        kv_cache: "FP8", another format's name, or None.
    """

    source: str
    producer: str
    algorithm: str
    excluded: tuple[str, ...] = ()
    layers: Mapping[str, str] = field(default_factory=dict)
    targets: tuple[tuple[str, str], ...] = ()
    kv_cache: str | None = None

    def algorithm_of(self, module: str) -> str | None:
        """The algorithm declared for a module; None if it is left as it was.

        A module whose children are listed, such as the experts of a layer, has theirs.
        """
        if self.producer == "compressed-tensors":
            if any(_ct_matches(module, pattern) for pattern in self.excluded):
                return None
            found = (name for pattern, name in self.targets if _ct_matches(module, pattern))
            return next(found, None)
        if is_excluded(module, self.excluded):
            return None
        if self.algorithm != MIXED:
            return self.algorithm
        if module in self.layers:
            return self.layers[module]
        child = next((key for key in self.layers if key.startswith(f"{module}.")), None)
        return None if child is None else self.layers[child]


def is_excluded(module: str, patterns: Iterable[str]) -> bool:
    """Whether ModelOpt's exclusions cover a module.

    A pattern is a name, a part of one, or has wildcards; `X*` at its end is X and what lies
    below it, and so are the vision towers at any rate.
    """
    for pattern in (*patterns, *_ALWAYS_EXCLUDED):
        if pattern in module or fnmatch(module, pattern):
            return True
        stem = pattern.removesuffix("*").removesuffix(".")
        if pattern.endswith("*") and (module == stem or module.startswith(f"{stem}.")):
            return True
    return False


def read_declared(folder: str | Path) -> DeclaredFormats | None:
    """What a folder declares; None if it says nothing of quantization.

    Raises:
        CheckpointError: a file is missing or unreadable.
        ConfigError: it declares what is not supported, or contradicts itself.
    """
    folder = Path(folder)
    values = read_json(folder / "config.json")
    nested = folder / QUANT_CONFIG_FILE
    apart = read_json(nested) if nested.is_file() else None
    for holder in [values, *(values.get(key) for key in _NESTED)]:
        for key in _KEYS:
            found = holder.get(key) if isinstance(holder, Mapping) else None
            if found:
                return declared_from_json(found, source=f"{folder / 'config.json'}", apart=apart)
    return None if apart is None else declared_from_json(apart, source=str(nested))


def without_declared(values: Mapping[str, Any]) -> dict[str, Any]:
    """A `config.json` without what it declares here; the model's shape is left."""
    left = {key: value for key, value in values.items() if key not in _KEYS}
    for key in _NESTED:
        if isinstance(left.get(key), Mapping):
            left[key] = without_declared(left[key])
    return left


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
    kv_cache = values.get("kv_cache_quant_algo") or _scheme_name(values.get("kv_cache_scheme"))
    return DeclaredFormats(
        source=source,
        producer="modelopt",
        algorithm=algorithm,
        excluded=_patterns(values, key, source),
        layers=layers,
        kv_cache=None if kv_cache is None else str(kv_cache).upper(),
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
        kv_cache=_scheme_name(values.get("kv_cache_scheme")),
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


def _scheme_name(scheme: Any) -> str | None:
    """The number format of a `kv_cache_scheme`."""
    if not isinstance(scheme, Mapping):
        return None
    bits, kind = scheme.get("num_bits"), scheme.get("type")
    return "FP8" if (bits, kind) == (8, "float") else f"{kind} of {bits} bits".upper()


def _ct_matches(module: str, pattern: str) -> bool:
    """compressed-tensors: a name, `re:` and a pattern from its start, or a class of modules."""
    if pattern.startswith("re:"):
        return re.match(pattern.removeprefix("re:"), module) is not None
    return pattern in (module, "Linear")
