"""Checkpoints of a run: weights, optimizer, random state and loader position.

A checkpoint is a folder of safetensors and one JSON file; nothing is pickled. It is written
under another name and renamed, so that a checkpoint that exists is whole.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from ...errors import CheckpointError
from .muon import Muon

WEIGHTS, OPTIMIZER, STATE = "weights.safetensors", "optimizer.safetensors", "state.json"
SLOTS = {
    torch.optim.AdamW: ("step", "exp_avg", "exp_avg_sq"),
    Muon: ("momentum_buffer",),
}
_PREFIX = "step-"


def save_checkpoint(
    root: str | Path,
    *,
    module: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    state: dict[str, Any],
    keep: int = 2,
) -> Path:
    """Write checkpoint `step-N` below `root` and drop all but the last `keep`.

    Args:
        root: folder of the run's checkpoints.
        state: plain JSON values; `total_step` names the folder.
        optimizers: their groups carry `names`; none of them writes weights and state only.
    """
    root = Path(root)
    name = f"{_PREFIX}{state['total_step']:08d}"
    part = root / f".{name}.{os.getpid()}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    weights = {key: value.detach().contiguous() for key, value in module.state_dict().items()}
    save_file(_unshared(weights), part / WEIGHTS)
    if optimizers:
        tensors = {"rng.torch": torch.get_rng_state()}
        if torch.cuda.is_available():
            tensors["rng.cuda"] = torch.cuda.get_rng_state()
        for optimizer, parameter, key in _named(optimizers):
            for slot, value in optimizer.state.get(parameter, {}).items():
                tensors[f"{slot}:{key}"] = torch.as_tensor(value).contiguous()
        save_file(tensors, part / OPTIMIZER)
    (part / STATE).write_text(json.dumps(state, indent=1))
    final = root / name
    shutil.rmtree(final, ignore_errors=True)
    os.replace(part, final)
    for old in checkpoints(root)[:-keep]:
        shutil.rmtree(old)
    return final


def checkpoints(root: str | Path) -> list[Path]:
    """The whole checkpoints below a folder, oldest first."""
    return sorted(path.parent for path in Path(root).glob(f"{_PREFIX}*/{STATE}"))


def read_state(folder: Path) -> dict[str, Any]:
    """The plain part of a checkpoint.

    Raises:
        CheckpointError: it cannot be read.
    """
    try:
        return json.loads((folder / STATE).read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"the state of checkpoint {folder} cannot be read ({error}); remove that folder to "
            "resume from the one before"
        ) from error


def load_weights(folder: Path, module: nn.Module) -> None:
    """Load the weights of a checkpoint, strictly.

    Raises:
        CheckpointError: a tensor is missing, unexpected or of another shape, or unreadable.
    """
    tensors = _read(folder / WEIGHTS)
    wanted = module.state_dict()
    missing, unexpected = sorted(wanted.keys() - tensors), sorted(tensors.keys() - wanted)
    shapes = [
        f"{key} is {tuple(tensors[key].shape)}, not {tuple(value.shape)}"
        for key, value in wanted.items()
        if key in tensors and tensors[key].shape != value.shape
    ]
    if missing or unexpected or shapes:
        raise CheckpointError(
            f"checkpoint {folder} does not fit this recipe's model: missing {missing[:5]}, "
            f"unexpected {unexpected[:5]}, other shapes {shapes[:5]}"
        )
    module.load_state_dict(tensors)


def newest_weights(root: Path) -> dict[str, torch.Tensor]:
    """The tensors of the newest checkpoint below a folder.

    Raises:
        CheckpointError: there is none, or it cannot be read.
    """
    found = checkpoints(root)
    if not found:
        raise CheckpointError(f"{root} holds no checkpoint to start from; run its recipe first")
    return _read(found[-1] / WEIGHTS)


@torch.no_grad()
def load_parts(
    tensors: dict[str, torch.Tensor],
    module: nn.Module,
    part_of: Callable[[str], str],
    parts: set[str],
    *,
    source: str,
) -> None:
    """Copy some parts of other weights into a module; its other parts stay as they are.

    Args:
        part_of: the part a parameter's name belongs to.
        source: where the weights come from, for the error.

    Raises:
        CheckpointError: a tensor of the parts is missing or misshapen.
    """
    for name, value in module.state_dict().items():
        if part_of(name) in parts:
            given = tensors.get(name)
            if given is None or given.shape != value.shape:
                shape = "missing" if given is None else f"{tuple(given.shape)}"
                raise CheckpointError(
                    f"{source} cannot start this model: {name} is {shape} but must be "
                    f"{tuple(value.shape)}"
                )
            value.copy_(given)


def load_optimizers(folder: Path, optimizers: Sequence[torch.optim.Optimizer]) -> None:
    """Load the optimizers' moments and the random state saved beside them.

    Raises:
        CheckpointError: a parameter has some of its moments but not all.
    """
    tensors = _read(folder / OPTIMIZER)
    torch.set_rng_state(tensors.pop("rng.torch"))
    cuda_state = tensors.pop("rng.cuda", None)
    if cuda_state is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(cuda_state)
    for optimizer, parameter, key in _named(optimizers):
        slots = SLOTS[type(optimizer)]
        missing = [slot for slot in slots if f"{slot}:{key}" not in tensors]
        if len(missing) == len(slots):
            continue  # it never had a gradient
        if missing:
            raise CheckpointError(f"checkpoint {folder} has no optimizer state of {key!r}")
        optimizer.state[parameter] = {
            slot: tensors[f"{slot}:{key}"].to(parameter.device) for slot in slots
        }


def has_optimizer(folder: Path) -> bool:
    """Whether the optimizer travelled with the weights."""
    return (folder / OPTIMIZER).is_file()


def _named(
    optimizers: Sequence[torch.optim.Optimizer],
) -> list[tuple[torch.optim.Optimizer, torch.Tensor, str]]:
    return [
        (optimizer, parameter, name)
        for optimizer in optimizers
        for group in optimizer.param_groups
        for parameter, name in zip(group["params"], group["names"], strict=True)
    ]


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be read ({error})") from error


def _unshared(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    # Safetensors refuses two names for one memory; tied weights are written twice.
    seen: set[int] = set()
    for key, value in tensors.items():
        if value.data_ptr() in seen:
            tensors[key] = value.clone()
        seen.add(value.data_ptr())
    return tensors
