"""Which device holds which part of a model that is larger than one of them.

Parts are placed in the order a token meets them, each whole, so that activations cross from one
device to the next as seldom as they can:

    embeddings with tower and projector | layer 0 | layer 1 | ... | final norm and head | MTP
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from ..errors import BackendError, ConfigError
from .budgets import Budgets, DeviceMap, read_budgets
from .census.gpus import GIB
from .census.tensors import folder_tensors
from .checkpoint.load import load_config
from .checkpoint.quantized import Quantized, check_choice
from .device import choose_dtype
from .loading import read_stored_dtype
from .mamba_cache import SsmKind
from .model_parts import CONTEXT, Part, model_parts, part_of


@dataclass(frozen=True, kw_only=True)
class Share:
    """What one device holds, of the bytes it may hold."""

    device: torch.device
    parts: tuple[Part, ...]
    budget: int

    @property
    def num_bytes(self) -> int:
        return sum(part.num_bytes for part in self.parts)

    def __str__(self) -> str:
        layers = [part.layer for part in self.parts if part.layer is not None]
        names = []
        for part in self.parts:
            if part.layer is None:
                names += part.names
            elif part.layer == layers[0]:
                last = f"-{layers[-1]}" if len(layers) > 1 else ""
                names.append(f"layer{'s' if last else ''} {layers[0]}{last}")
        held = ", ".join(names) or "nothing"
        return f"{self.device}: {held}; {self.num_bytes / GIB:.2f} of {self.budget / GIB:.2f} GiB"


@dataclass(frozen=True, kw_only=True)
class Placement:
    """A plan; its text is one line a device.

    Attributes:
        shares: in the order in which the devices were given.
        context: tokens for whose cache there is room.
    """

    shares: tuple[Share, ...]
    context: int

    @property
    def devices(self) -> list[torch.device]:
        """Those that hold something."""
        return [share.device for share in self.shares if share.parts]

    def device_of(self, name: str) -> torch.device:
        """Where the tensor of that name of ours goes."""
        part = part_of(name)
        for share in self.shares:
            if any(part in each.names for each in share.parts):
                return share.device
        raise KeyError(name)

    def __str__(self) -> str:
        room = f"with room for the cache of {self.context} tokens"
        return "\n".join([*map(str, self.shares), room])


def place_parts(parts: list[Part], budgets: Budgets, *, context: int = CONTEXT) -> Placement:
    """Fill the devices in order.

    GPUs that hold a model together, but not one alone, each give the same share of their
    budgets, so that each keeps room for longer sequences.

    Raises:
        BackendError: it does not fit; the message says how much is missing.
    """
    filled = None
    for count in range(1, len(budgets) + 1):
        first = dict(list(budgets.items())[:count])
        filled = _fill(parts, first)
        if isinstance(filled, dict):
            if count > 1 and len({device.type for device in first}) == 1:
                filled = _balanced(parts, first)
            break
    if not isinstance(filled, dict):
        needed = sum(part.num_bytes for part in parts) / GIB
        offered = ", ".join(f"{size / GIB:.2f} GiB on {each}" for each, size in budgets.items())
        raise BackendError(
            f"The model takes {needed:.2f} GiB with a cache for {context} tokens, but there are "
            f"{offered}, so {(filled or 0) / GIB:.2f} GiB are missing (layers are placed whole); "
            "name another device, or open the model with fewer bits."
        )
    shares = tuple(
        Share(device=device, parts=tuple(filled.get(device, ())), budget=budget)
        for device, budget in budgets.items()
    )
    return Placement(shares=shares, context=context)


def _fill(parts: list[Part], budgets: Budgets) -> dict[torch.device, list[Part]] | int:
    """The parts of each device, or how many bytes are missing."""
    left = list(parts)
    filled: dict[torch.device, list[Part]] = {}
    room = 0
    for device, room in budgets.items():
        filled[device] = []
        while left and left[0].num_bytes <= room:
            room -= left[0].num_bytes
            filled[device].append(left.pop(0))
    return sum(part.num_bytes for part in left) - room if left else filled


def _balanced(parts: list[Part], budgets: Budgets) -> dict[torch.device, list[Part]]:
    """Filled to the smallest share of every budget that is enough."""
    low, high = 0.0, 1.0
    best = _fill(parts, budgets)
    for _ in range(20):
        share = (low + high) / 2
        found = _fill(parts, {device: int(share * size) for device, size in budgets.items()})
        if isinstance(found, dict):
            high, best = share, found
        else:
            low = share
    assert isinstance(best, dict), "the whole budgets are enough"
    return best


def place_folder(
    folder: Path,
    device_map: DeviceMap,
    *,
    dtype: str | torch.dtype | None = None,
    quantized: Quantized = "packed",
    kv_cache: str | None = None,
    ssm_cache: SsmKind | None = None,
    context: int = CONTEXT,
) -> tuple[Placement, torch.dtype]:
    """Plan a checkpoint folder on the devices of a map; also the number format it is opened in.

    Room is kept for the cache of one sequence of `context` tokens. Without `dtype` the first
    device decides, as it holds the most.

    Raises:
        CheckpointError: the folder is no checkpoint.
        ConfigError: the map is none, the context no number of tokens, or float16 would go to a CPU.
        BackendError: a device is not there, or the model does not fit.
    """
    check_choice(quantized)
    if not isinstance(context, int) or context < 1:
        raise ConfigError(f"context is {context!r}; it must be a number of tokens, 1 or more.")
    budgets = read_budgets(device_map)
    config = load_config(folder)
    chosen = choose_dtype(dtype, next(iter(budgets)), stored=read_stored_dtype(folder))
    parts = model_parts(
        config,
        folder_tensors(folder),
        dtype=chosen,
        quantized=quantized,
        kv_cache=kv_cache,
        ssm_cache=ssm_cache,
        context=context,
    )
    placement = place_parts(parts, budgets, context=context)
    for device in placement.devices:
        choose_dtype(chosen, device)  # a CPU does not multiply float16
    return placement, chosen
