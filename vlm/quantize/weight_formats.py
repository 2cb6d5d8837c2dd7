"""The number formats that a recipe may give to a weight, by name."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from ...errors import ConfigError
from .classes import CLASSES, QUANTIZABLE
from .fp8 import Granularity
from .scale_search import ScaleSearch


@dataclass(frozen=True, kw_only=True)
class WeightFormat:
    """A number format with all that is chosen about it.

    Attributes:
        kind: "FP8", "NVFP4", "W4A16_NVFP4" (readers leave activations alone), "INT8" or "INT4".
        granularity: of FP8 scales.
        search: of NVFP4 block scales.
        group: of INT4, the largest group; a weight whose rows it does not divide has a smaller.
    """

    kind: str
    granularity: Granularity = "tensor"
    search: ScaleSearch = "max"
    group: int = 32

    @property
    def stored(self) -> str:
        """How weights look: "FP8", "NVFP4", "INT8", "INT4"."""
        return self.kind.removeprefix("W4A16_")

    @property
    def has_input_scale(self) -> bool:
        """Whether readers round activations by a scale that is stored."""
        return self.kind == "NVFP4" or (self.kind == "FP8" and self.granularity == "tensor")

    @property
    def bits(self) -> float:
        """Bits a parameter, block scales included, scales of whole rows left out."""
        return {"FP8": 8.0, "NVFP4": 4.5, "INT8": 8.0, "INT4": 4.0 + 16 / self.group}[self.stored]

    def __str__(self) -> str:
        more = self.granularity if self.kind == "FP8" else self.search
        plain = self.kind.startswith("INT") or more in ("tensor", "max")
        return self.kind if plain else f"{self.kind} ({more})"


FP8 = WeightFormat(kind="FP8")
NVFP4 = WeightFormat(kind="NVFP4")
FORMATS: dict[str, WeightFormat | None] = {
    "keep": None,
    "fp8": FP8,
    "fp8-channel": replace(FP8, granularity="channel"),
    "fp8-block": replace(FP8, granularity="block"),
    "nvfp4": NVFP4,
    "nvfp4-mse": replace(NVFP4, search="mse"),
    "nvfp4-four-over-six": replace(NVFP4, search="four-over-six"),
    "w4a16-nvfp4": WeightFormat(kind="W4A16_NVFP4"),
    "int8": WeightFormat(kind="INT8"),
    "int4": WeightFormat(kind="INT4"),
}


def format_changes(changes: Sequence[str]) -> dict[str, WeightFormat | None]:
    """`CLASS=FORMAT` by class; of a class that is given again, the last counts.

    Raises:
        ConfigError: there is no such class or format, or the class cannot be quantized.
    """
    found: dict[str, WeightFormat | None] = {}
    for change in changes:
        name, equals, format_name = change.partition("=")
        if not equals or format_name not in FORMATS:
            raise ConfigError(f"{change!r} is no CLASS=FORMAT; formats are {', '.join(FORMATS)}.")
        if name not in CLASSES:
            near = get_close_matches(name, QUANTIZABLE, n=1)
            hint = (
                f"did you mean {near[0]!r}?" if near else f"{', '.join(sorted(QUANTIZABLE))} are."
            )
            raise ConfigError(f"{name!r} of {change!r} is no class of weights; {hint}")
        if name not in QUANTIZABLE and FORMATS[format_name] is not None:
            raise ConfigError(
                f"{name} of {change!r} cannot be quantized; these can be: "
                f"{', '.join(sorted(QUANTIZABLE))}."
            )
        found[name] = FORMATS[format_name]
    return found
