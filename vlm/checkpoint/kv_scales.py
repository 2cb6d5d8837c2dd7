"""Scales of an FP8 cache that a checkpoint brings for its attention layers.

Disk names are `...k_proj.k_scale` and `...v_proj.v_scale` (ModelOpt), `...k_scale` and
`...v_scale` on the attention module itself or its `.attn` (compressed-tensors, vLLM), and the
older `.kv_scale` for both.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

from ...errors import CheckpointError
from ..layers.attention import AttentionMixer
from .names import Place
from .shards import ShardReader

_SCALE = re.compile(r"^(.*?)(?:\.[kv]_proj|\.attn)?\.(k|v|kv)_scale$")


def is_kv_scale(name: str) -> bool:
    """Whether a disk name is that of a cache's scale."""
    return _SCALE.match(name) is not None


def put_kv_scales(
    reader: ShardReader, place: Callable[[str], Place | None], find: Callable[[str], object]
) -> None:
    """Read every scale into its attention layer.

    Args:
        place: the family's map, disk name to ours.
        find: a name of ours to its module; None where the model has none, as for a draft head
            that was left out.

    Raises:
        CheckpointError: a scale belongs to no attention layer, or is no positive number.
    """
    for name, module, letters in _scales(reader.files):
        ours = place(f"{module}.k_proj.weight")
        mixer = None if ours is None else find(ours.name.removesuffix(".k_proj.weight"))
        if mixer is None and ".mtp." in f".{name}":
            continue
        if not isinstance(mixer, AttentionMixer):
            raise CheckpointError(f"{reader.folder} holds {name}, but that is no attention layer.")
        tensor = reader.tensor(name)
        value = float(tensor) if tensor.numel() == 1 else math.nan
        if not 0 < value < math.inf:
            raise CheckpointError(f"{name} in {reader.folder} is no positive number.")
        for letter in letters:
            rest = f"{letter}_proj.{letter}_scale" if letters == "kv" else name[len(module) + 1 :]
            mixer.scale_names[letter] = rest
            setattr(mixer, f"{letter}_scale", value)


def kv_scale_tensors(
    model: nn.Module, disk_name: Callable[[str, int | None], str]
) -> Iterator[tuple[str, Tensor]]:
    """The scales that a model's checkpoint had, under their names, one for both as two.

    Args:
        disk_name: the family's map, a name of ours to that on disk.
    """
    for name, mixer in model.named_modules():
        if not isinstance(mixer, AttentionMixer):
            continue
        module = disk_name(f"{name}.k_proj.weight", None).removesuffix(".k_proj.weight")
        for letter, rest in mixer.scale_names.items():
            yield f"{module}.{rest}", torch.tensor(getattr(mixer, f"{letter}_scale"))


def _scales(names: Iterable[str]) -> Iterable[tuple[str, str, str]]:
    for name in sorted(names, key=lambda each: not each.endswith(".kv_scale")):
        match = _SCALE.match(name)
        if match:
            yield name, match[1], match[2]
