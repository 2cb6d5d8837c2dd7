"""What a checkpoint declares about its number formats, and which of its modules are meant.

The tensors have the last word on what a weight is: this says what else to expect of them, and
names what is unknown. Module names are those on disk.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch

# What weights look like under each algorithm; how activations would be rounded is not followed.
ALGORITHMS = {
    "FP8": "FP8",
    "FP8_PER_CHANNEL_PER_TOKEN": "FP8",
    "FP8_PB_WO": "FP8",
    "NVFP4": "NVFP4",
    "W4A16_NVFP4": "NVFP4",
    "INT8": "INT8",
    "INT4": "INT4",
}
MIXED = "MIXED_PRECISION"
_ALWAYS_EXCLUDED = ("vision_tower", "vision_model")


@dataclass(frozen=True, kw_only=True)
class DeclaredFormats:
    """A checkpoint's declared number formats.

    Attributes:
        source: the file, for messages.
        producer: "modelopt" or "compressed-tensors".
        algorithm: ModelOpt's name for it, MIXED_PRECISION included.
        excluded: names and patterns of modules left as they were.
        layers: the algorithm of each module listed by itself (MIXED_PRECISION).
        targets: patterns of modules and their algorithm (compressed-tensors).
        kv_cache: "FP8", another format's name, or None.
    """

    source: str
    producer: str
    algorithm: str
    excluded: tuple[str, ...] = ()
    layers: Mapping[str, str] = field(default_factory=dict)
    targets: tuple[tuple[str, str], ...] = ()
    kv_cache: str | None = None

    def algorithm_of(self, module: str) -> str | None:
        """The algorithm declared for a module; None if it is left as it was.

        A module whose children are listed, such as the experts of a layer, has theirs.
        """
        if self.producer == "compressed-tensors":
            if any(_ct_matches(module, pattern) for pattern in self.excluded):
                return None
            found = (name for pattern, name in self.targets if _ct_matches(module, pattern))
            return next(found, None)
        if is_excluded(module, self.excluded):
            return None
        if self.algorithm != MIXED:
            return self.algorithm
        if module in self.layers:
            return self.layers[module]
        child = next((key for key in self.layers if key.startswith(f"{module}.")), None)
        return None if child is None else self.layers[child]


def is_excluded(module: str, patterns: Iterable[str]) -> bool:
    """Whether ModelOpt's exclusions cover a module.

    A pattern is a name, a part of one, or has wildcards; `X*` at its end is X and what lies
    below it, and so are the vision towers at any rate.
    """
    for pattern in (*patterns, *_ALWAYS_EXCLUDED):
        if pattern in module or fnmatch(module, pattern):
            return True
        stem = pattern.removesuffix("*").removesuffix(".")
        if pattern.endswith("*") and (module == stem or module.startswith(f"{stem}.")):
            return True
    return False


def _ct_matches(module: str, pattern: str) -> bool:
    """compressed-tensors: a name, `re:` and a pattern from its start, or a class of modules."""
    if pattern.startswith("re:"):
        return re.match(pattern.removeprefix("re:"), module) is not None
    return pattern in (module, "Linear")
