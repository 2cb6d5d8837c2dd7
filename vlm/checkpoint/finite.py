"""Whether the weights of a checkpoint folder are numbers, read from its files tensor by tensor."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ...errors import CheckpointError
from ..quantize.fp8 import NAN_CODE
from .shards import ShardReader

_PART = 1 << 24  # numbers looked at at once, for a mask of them takes memory


def require_finite(
    folder: str | Path, *, notify: Callable[[int, int], None] = lambda done, total: None
) -> int:
    """Read every tensor of a folder once, those in FP8 and the scales of NVFP4 included.

    Args:
        notify: told before each tensor: how many were read, and of how many.

    Returns:
        How many tensors were looked at; integers hold nothing else than numbers.

    Raises:
        CheckpointError: one holds NaN or infinity; file and tensor are named.
    """
    looked_at = 0
    with ShardReader(folder) as reader:
        for number, (name, path) in enumerate(reader.files.items()):
            notify(number, len(reader.files))
            tensor = reader.tensor(name)
            if not tensor.is_floating_point():
                continue
            looked_at += 1
            if not all(map(_is_finite, tensor.flatten().split(_PART))):
                raise CheckpointError(
                    f"{path} has NaN or infinity in {name}: the file is damaged, or its training "
                    "failed; copy or download it again."
                )
    return looked_at


def _is_finite(part: Tensor) -> bool:
    if part.dtype == torch.float8_e4m3fn:  # no infinity, and one NaN of each sign
        return not bool(((part.view(torch.uint8) & 0x7F) == NAN_CODE).any())
    if part.dtype == torch.float8_e5m2:
        return not bool(((part.view(torch.uint8) & 0x7C) == 0x7C).any())
    return bool(part.isfinite().all())
