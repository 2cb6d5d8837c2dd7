"""What `auto` may spend, and the choice of one format a unit within it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import ConfigError
from ..quantize.recipes import Recipe
from ..quantize.weight_formats import FORMATS, WeightFormat
from .calibrate import Calibration

DEFAULT_BITS = 4.75
_CANDIDATES = ("nvfp4-mse", "fp8")


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What `auto` may use.

    Attributes:
        bits: a parameter of the language model's layers, on average, block scales included.
        formats: names from `FORMATS`, besides keeping.
    """

    bits: float = DEFAULT_BITS
    formats: tuple[str, ...] = _CANDIDATES

    def __post_init__(self) -> None:
        if not 0 < self.bits < math.inf:
            raise ConfigError(f"The budget of {self.bits:g} bits must be a number above 0.")
        for name in self.formats:
            if FORMATS.get(name) is None:
                raise ConfigError(f"auto cannot choose {name!r}; formats are {', '.join(FORMATS)}.")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A format for a unit: what it costs, and what it changes."""

    form: WeightFormat | None
    bits: float
    error: float


@dataclass(frozen=True, kw_only=True)
class Search:
    """What `auto` found.

    Attributes:
        sizes: parameters of each unit; choices: what was measured of it; chosen: one of these.
    """

    recipe: Recipe
    calibration: Calibration
    sizes: Mapping[str, int]
    choices: Mapping[str, Sequence[Choice]]
    chosen: Mapping[str, Choice]

    @property
    def bits(self) -> float:
        """Bits a parameter that the choices take."""
        spent = sum(self.sizes[unit] * choice.bits for unit, choice in self.chosen.items())
        return spent / sum(self.sizes.values())

    def as_values(self, budget: Budget) -> dict[str, Any]:
        """For the proof: the budget, and the error of every unit in every format."""
        units = [
            {
                "unit": unit,
                "parameters": self.sizes[unit],
                "chosen": _called(choice.form),
                "errors": {_called(each.form): each.error for each in self.choices[unit]},
            }
            for unit, choice in self.chosen.items()
        ]
        return {"budget": budget.bits, "bits": self.bits, "units": units}


def choose(
    choices: Mapping[str, Sequence[Choice]], sizes: Mapping[str, int], bits: float
) -> dict[str, Choice]:
    """One choice a unit: the least error found within the average of bits.

    Raises:
        ConfigError: there is nothing to choose for, or the fewest bits are above the budget.
    """
    if not choices:
        raise ConfigError("auto found no layer to quantize in this model.")
    total = sum(sizes.values())
    chosen = {unit: min(found, key=lambda c: (c.bits, c.error)) for unit, found in choices.items()}
    spent = sum(sizes[unit] * choice.bits for unit, choice in chosen.items())
    if spent > bits * total:
        raise ConfigError(
            f"The budget of {bits:g} bits a parameter cannot be met: these formats take "
            f"{spent / total:.2f} at least."
        )
    while True:
        best, gain = None, 0.0
        for unit, now in chosen.items():
            for other in choices[unit]:
                more = sizes[unit] * (other.bits - now.bits)
                if more <= 0 or spent + more > bits * total:
                    continue
                found = (now.error - other.error) / more
                if found > gain:
                    best, gain = (unit, other, more), found
        if best is None:
            return chosen
        chosen[best[0]] = best[1]
        spent += best[2]


def _called(form: WeightFormat | None) -> str:
    return "keep" if form is None else str(form)
