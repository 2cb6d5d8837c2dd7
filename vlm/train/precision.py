"""Where a run computes in bfloat16; weights, gradients and sums stay float32."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import torch

from ..ops.linear import cpu_multiplies_bfloat16


@dataclass(frozen=True)
class Precision:
    """Autocast to bfloat16, for everything or for the tower alone.

    On a CPU that multiplies bfloat16 only the tower gains: half the time of float32. A step of the
    language model, with much between its small products, takes half as long again as in float32.

    Attributes:
        device: a torch device type.
        whole, tower: whether the whole task, or the tower alone, is cast.
    """

    device: str = "cpu"
    whole: bool = False
    tower: bool = False

    @classmethod
    def of(cls, name: str, device: torch.device) -> Precision:
        """What a recipe's `precision` means on a device."""
        cast = name == "bfloat16"
        on_cpu = device.type == "cpu"
        return cls(device.type, cast and not on_cpu, cast and on_cpu and cpu_multiplies_bfloat16())

    def around_all(self) -> contextlib.AbstractContextManager:
        return self._cast(self.whole)

    def around_tower(self) -> contextlib.AbstractContextManager:
        return self._cast(self.tower)

    def _cast(self, wanted: bool) -> contextlib.AbstractContextManager:
        if not wanted:
            return contextlib.nullcontext()
        return torch.autocast(self.device, dtype=torch.bfloat16)
