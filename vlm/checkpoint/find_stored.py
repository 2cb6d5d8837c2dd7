"""Which weights of a checkpoint are stored in few bits, and in which of its tensors.

What a weight is, its tensors decide; the configuration may only not contradict them.
"""

from collections.abc import Mapping

from ...errors import CheckpointError
from ..quantize.declared import ALGORITHMS, DeclaredFormats
from .shards import FLOATS, ShardReader
from .stored_weights import StoredWeight

_SCALES = ("weight_scale", "weight_scale_2", "weight_scale_inv", "weight_global_scale")
_OF_INPUTS = ("input_scale", "input_global_scale")
_SHAPE = "weight_shape"
_FEW_BITS = ("U8", "I8", "I32", "F8_E4M3", "F8_E5M2")


def find_stored_weights(
    reader: ShardReader, declared: DeclaredFormats | None = None
) -> dict[str, StoredWeight]:
    """Every weight that is not stored in floats, by the name "X.weight".

    Raises:
        CheckpointError: a weight of few bits has no scale, a scale no such weight, or the
            configuration says otherwise.
    """
    modules: dict[str, dict[str, str]] = {}
    for name in reader.files:
        module, _, leaf = name.rpartition(".")
        if leaf in ("weight", "weight_packed", _SHAPE, *_SCALES, *_OF_INPUTS):
            modules.setdefault(module, {})[leaf] = name
    found: dict[str, StoredWeight] = {}
    for module, parts in modules.items():
        stored = _stored_weight(reader, module, parts)
        if stored is None:
            continue
        algorithm = None if declared is None else declared.algorithm_of(module)
        if declared and algorithm and ALGORITHMS[algorithm] != stored.format:
            raise CheckpointError(
                f"{module} is stored in {stored.format}, but {declared.source} says {algorithm}."
            )
        found[stored.name] = stored
    return found


def _stored_weight(
    reader: ShardReader, module: str, parts: Mapping[str, str]
) -> StoredWeight | None:
    """The weight that the tensors of a module make; None if it is one of floats."""
    codes = parts.get("weight_packed") or parts.get("weight")
    scales = [parts[leaf] for leaf in _SCALES if leaf in parts]
    if codes is None:
        if scales:
            raise CheckpointError(f"{scales[0]} is a scale, but there is no {module}.weight.")
        return None
    kind = reader.dtype(codes)
    if kind not in _FEW_BITS:
        if scales:
            raise CheckpointError(f"{scales[0]} is a scale, but {codes} is {kind}, not quantized.")
        return None

    def scale(*leaves: str) -> str:
        for leaf in leaves:
            if leaf in parts:
                return parts[leaf]
        raise CheckpointError(
            f"{codes} is {kind}, quantized, but {module}.{leaves[0]} is missing, and without it "
            "its values are unknown."
        )

    others = tuple(parts[leaf] for leaf in (*_OF_INPUTS, _SHAPE) if leaf in parts)
    name = f"{module}.weight"
    if kind == "F8_E4M3" and "weight_packed" not in parts:
        stored = StoredWeight(
            name=name,
            format="FP8",
            codes=codes,
            scale=scale("weight_scale", "weight_scale_inv"),
            others=others,
        )
        kinds = {stored.scale: FLOATS}
    elif kind == "U8":
        divides = "weight_packed" in parts
        single = scale("weight_global_scale" if divides else "weight_scale_2")
        stored = StoredWeight(
            name=name,
            format="NVFP4",
            divides=divides,
            codes=codes,
            scale=scale("weight_scale"),
            tensor_scale=single,
            others=others,
        )
        kinds = {stored.scale: ("F8_E4M3",), single: FLOATS}
    elif (kind, "weight_packed" in parts) in (("I8", False), ("I32", True)):
        stored = StoredWeight(
            name=name,
            format="INT8" if kind == "I8" else "INT4",
            codes=codes,
            scale=scale("weight_scale"),
            others=others,
        )
        kinds = {stored.scale: FLOATS}
    else:
        raise CheckpointError(f"{codes} is {kind}, a quantized format that cannot be read.")
    for part, wanted in kinds.items():
        if reader.dtype(part) not in wanted:
            raise CheckpointError(
                f"{part} is {reader.dtype(part)}, but a scale of {stored.format} there is "
                f"{' or '.join(wanted)}."
            )
    unused = [each for each in scales if each not in stored.names]
    if unused:
        raise CheckpointError(f"{unused[0]} is no part of {stored.format}, which {codes} is in.")
    return stored
