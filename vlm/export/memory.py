"""How much memory an export or a proof takes, and how much is there: refused before it begins.

Three things are in memory one after another, never together: the embeddings with the tower; one
block without its experts (the original's and the export's, when both are compared) over the
hidden states of all prompts; the final norm and head. Weights are written one at a time, which
takes less than any of these.
"""

import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from ...data.model_inputs import ModelInputs
from ...errors import InputError
from ..checkpoint.names import is_expert_stack
from .blocks import TOGETHER
from .source import WeightSource

_FLOAT = 4
_READ = 1.5  # a weight is there in bfloat16 and in float32 for a moment
_COPIES = 6  # of hidden states: both ways along, what a block makes of them, differences
_WITHIN = 6  # of the widest that a block makes of the prompts that it takes at once
_LOGITS_AT_ONCE = 64 * 6


@dataclass(frozen=True, kw_only=True)
class Need:
    """Bytes beyond what the process had before, by what they are for.

    Attributes:
        embedding: the table and the tower.
        block: the largest block, with two matrices of its experts.
        head: the head, and the logits that are there at once.
        states: the hidden states of all prompts, and what a block makes of those at once.
    """

    embedding: int
    block: int
    head: int
    states: int

    @property
    def total(self) -> int:
        return max(self.embedding, self.block, self.head) + self.states


def needed(source: WeightSource, lengths: Sequence[int], *, models: int) -> Need:
    """What prompts of those lengths, in tokens, take.

    Args:
        models: 1 to calibrate, 2 to compare an export with its original.
    """
    blocks: dict[str, int] = {}
    widest, expert, tower = 0, 0, 0
    in_layers = f"{source.prefix}layers."
    for name in source.names():
        shape = source.shapes[name]
        size = prod(shape) * _FLOAT
        if name.startswith(in_layers):
            layer = name.removeprefix(in_layers).partition(".")[0]
            if is_expert_stack(name):
                expert = max(expert, size // max(1, shape[0]))
            else:
                blocks[layer] = blocks.get(layer, 0) + size
                widest = max(widest, shape[0])
        elif not name.startswith(source.prefix) or name.startswith("vision"):
            tower += size
    text = source.text
    table = text.vocab_size * text.hidden_size * _FLOAT
    states = sum(lengths) * text.hidden_size * _FLOAT * _COPIES
    at_once = max(max(lengths, default=0), min(sum(lengths), TOGETHER))
    within = at_once * max(widest, text.hidden_size) * _FLOAT * _WITHIN
    return Need(
        embedding=int(_READ * table) + tower,
        block=models * int(_READ * (max(blocks.values(), default=0) + 2 * expert)),
        head=int((models - 1 + _READ) * table) + _LOGITS_AT_ONCE * text.vocab_size * _FLOAT,
        states=states + within,
    )


def require_memory(source: WeightSource, prompts: Sequence[ModelInputs], *, models: int) -> None:
    """Raises:
    InputError: so much memory is not there, by the system or by this process's limits.
    """
    lengths = [len(prompt.input_ids) for prompt in prompts]
    need, there = needed(source, lengths, models=models), available_bytes()
    if need.total > there:
        what = "Calibrating" if models == 1 else "Comparing an export with"
        raise InputError(
            f"{what} {source.folder} on {len(prompts)} prompts of {sum(lengths)} tokens takes "
            f"about {_size(need.total)} of memory ({_size(need.block)} for a block at a time, "
            f"{_size(max(need.embedding, need.head))} for embeddings and head, "
            f"{_size(need.states)} for hidden states), and {_size(there)} are free: give fewer or "
            "shorter prompts (--prompts, --held-out), or more memory."
        )


def available_bytes() -> float:
    """Memory that may still be taken: what the system has, and what this process is allowed."""
    status = _fields("/proc/self/status")
    allowed = []
    for kind, field in ((resource.RLIMIT_DATA, "VmData"), (resource.RLIMIT_AS, "VmSize")):
        limit = resource.getrlimit(kind)[0]
        if limit != resource.RLIM_INFINITY:
            allowed.append(float(limit - status.get(field, 0)))
    free = _fields("/proc/meminfo").get("MemAvailable")
    allowed += [] if free is None else [float(free)]
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text().strip()
        if limit != "max":
            allowed.append(float(limit) - float((group / "memory.current").read_text()))
    except (OSError, ValueError):
        pass  # no such limit, or another kind of system
    return max(0.0, min(allowed, default=float("inf")))


def peak_bytes() -> int:
    """The most memory that this process has held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def held_bytes() -> int:
    """The memory that this process holds now; where that is not told, the most it has held."""
    return _fields("/proc/self/status").get("VmRSS", peak_bytes())


def _fields(path: str) -> dict[str, int]:
    """The sizes in a file of the system's, in bytes."""
    found = {}
    try:
        lines = Path(path).read_text(encoding="ascii").splitlines()
    except OSError:
        return found
    for line in lines:
        name, _, value = line.partition(":")
        if value.endswith(" kB"):
            found[name] = 1024 * int(value.split()[0])
    return found


def _size(count: float) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
