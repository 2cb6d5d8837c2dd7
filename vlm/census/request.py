"""What is to be served and on what, and how many bits each class of weights may take."""

from dataclasses import dataclass

from ...errors import ConfigError, InputError
from . import parameters as parts
from .gpus import Gpu

# Bits of each class of weights that is not left in 16, scales included, as releases have them.
SCHEMES: dict[str, dict[str, float]] = {
    "bf16": {},
    "fp8": {parts.ROUTED: 8, parts.SHARED: 8, parts.MAMBA: 8, parts.MLP: 8},
    "nvfp4": {parts.ROUTED: 4.5, parts.MLP: 4.5, parts.SHARED: 8, parts.MAMBA: 8},
    "int8": {parts.ROUTED: 8},
}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be served, and on what.

    Attributes:
        context: tokens of each sequence; batch: sequences at once.
        weights: a name in `SCHEMES`; as stored if None.
        kv_bytes: of a number in keys and values; ssm_bytes: of one in a scan's state.
    """

    context: int
    batch: int
    gpu: Gpu
    gpus: int = 1
    weights: str | None = None
    kv_bytes: int = 2
    ssm_bytes: int = 4

    def __post_init__(self) -> None:
        for name in ("context", "batch", "gpus"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)} but must be at least 1.")
        if self.weights is not None and self.weights not in SCHEMES:
            raise ConfigError(
                f"weights is {self.weights!r} but must be one of {', '.join(SCHEMES)}."
            )
