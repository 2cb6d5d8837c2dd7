"""A checkpoint of random weights and of any size, to measure how fast checkpoints are opened.

The shapes are those of Nemotron 3 Nano with fewer experts, layers and words, so that files of
a few gigabytes hold tensors of the usual sizes.
"""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ..data.processor_files import write_json
from ..errors import InputError
from ..vlm.checkpoint.families import family_of
from ..vlm.checkpoint.save import FLOAT32_NAMES
from ..vlm.checkpoint.shards import write_shards
from ..vlm.config import LanguageConfig
from ..vlm.skeleton import skeleton

GB = 10**9
_SHARD_BYTES = GB // 2
_UNIT = "ME"  # repeated until the size is reached
_ROOM = 1.1  # of the file's size, that must be free on the disk

_WIDE = LanguageConfig(
    vocab_size=16384,
    hidden_size=2688,
    hybrid_override_pattern="M*",
    mamba_num_heads=64,
    mamba_head_dim=64,
    n_groups=8,
    num_attention_heads=32,
    num_key_value_heads=2,
    head_dim=128,
    n_routed_experts=16,
    num_experts_per_tok=6,
    moe_intermediate_size=1856,
    moe_shared_expert_intermediate_size=3712,
    routed_scaling_factor=2.5,
)
# a tenth of the width: for files of some megabytes
_NARROW = replace(
    _WIDE,
    vocab_size=2048,
    hidden_size=256,
    mamba_num_heads=8,
    num_attention_heads=4,
    head_dim=64,
    moe_intermediate_size=192,
    moe_shared_expert_intermediate_size=384,
)


def synthetic_config(size_gb: float) -> LanguageConfig:
    """A mixture of experts of about `size_gb` gigabytes in bfloat16, every kind of layer in it."""
    base = _WIDE if size_gb >= 1 else _NARROW
    start, one = (_num_bytes(_with_units(base, units)) for units in (0, 1))
    return _with_units(base, max(1, round((size_gb * GB - start) / (one - start))))


def write_synthetic(folder: str | Path, size_gb: float) -> int:
    """Write such a checkpoint in bfloat16, one shard of half a gigabyte in memory at a time.

    Returns:
        Bytes of its weights.

    Raises:
        InputError: the size is not positive, or the disk has no room for it.
    """
    if not size_gb > 0:
        raise InputError(f"A checkpoint of {size_gb} GB cannot be written; give a size above 0.")
    folder = Path(folder)
    free = shutil.disk_usage(folder.parent).free / GB
    if free < _ROOM * size_gb:
        raise InputError(
            f"{folder.parent} has {free:.1f} GB free, but the checkpoint takes {size_gb:g} GB; "
            "choose a smaller size or another folder."
        )
    config = synthetic_config(size_gb)
    folder.mkdir(parents=True, exist_ok=True)
    family = family_of(config)
    write_json(folder / "config.json", {**family.write_config(config), "dtype": "bfloat16"})
    write_shards(folder, _random_tensors(config), max_shard_bytes=_SHARD_BYTES)
    return _num_bytes(config)


def _with_units(base: LanguageConfig, units: int) -> LanguageConfig:
    return replace(base, hybrid_override_pattern=base.hybrid_override_pattern + _UNIT * units)


def _num_bytes(config: LanguageConfig) -> int:
    state = skeleton(config).state_dict()
    return sum(t.numel() * (4 if n.endswith(FLOAT32_NAMES) else 2) for n, t in state.items())


def _random_tensors(config: LanguageConfig) -> Iterator[tuple[str, Tensor]]:
    draw = torch.Generator().manual_seed(0)
    family = family_of(config)
    for name, tensor in skeleton(config).state_dict().items():
        dtype = torch.float32 if name.endswith(FLOAT32_NAMES) else torch.bfloat16
        for disk, part in family.spell(name, tensor):
            yield disk, torch.randn(part.shape, generator=draw).mul_(0.02).to(dtype)
