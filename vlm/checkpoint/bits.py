"""How many bits the weights of a checkpoint folder take, read from the files' headers alone."""

import math
from pathlib import Path

from ..quantize.bits import TensorBits
from ..quantize.declared_files import read_declared
from .find_stored import find_stored_weights
from .kv_scales import is_kv_scale
from .shards import FLOATS, ShardReader


def bits_on_disk(folder: str | Path) -> list[TensorBits]:
    """Every weight of a folder by its name on disk; a quantized one is "X.weight", scales with it.

    Scales of activations and of caches, and integers that are no weights, are not counted.

    Raises:
        CheckpointError: a file is missing or unreadable, or a quantized weight has no scale.
        ConfigError: the folder declares a quantization that is not supported.
    """
    declared = read_declared(folder)
    with ShardReader(folder) as reader:
        stored = find_stored_weights(reader, declared)
        parts = {name for weight in stored.values() for name in weight.names}
        found = [
            TensorBits(
                name=name,
                format=weight.format,
                num_parameters=math.prod(weight.shape(reader)),
                num_bytes=sum(reader.num_bytes(part) for part in weight.weight_names),
            )
            for name, weight in stored.items()
        ]
        for name in reader.files:
            kind = reader.dtype(name)
            if name in parts or is_kv_scale(name) or kind not in FLOATS:
                continue
            found.append(
                TensorBits(
                    name=name,
                    format=kind,
                    num_parameters=math.prod(reader.shape(name)),
                    num_bytes=reader.num_bytes(name),
                )
            )
    return found
