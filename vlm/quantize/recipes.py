"""What becomes of each class of weights, as a value: the published recipes by name.

A recipe is a table from the class of a weight to its number format. What the table does not name
stays as it is stored. `nano-fp8` and `nano-nvfp4` keep attention and the Mamba layers right before
it, as Nemotron 3 Nano does; `super-nvfp4` is the ready recipe of Nemotron 3 Super, whose released
irregular lists came from a search, as `auto` makes them; `ultra-nvfp4` has four-over-six on routed
experts alone; the `nano-vl` recipes have every product of the language model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from ...errors import ConfigError
from . import classes
from .classes import CLASSES, QUANTIZABLE, class_of
from .weight_formats import FP8, NVFP4, WeightFormat, format_changes


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Number formats for a model.

    Attributes:
        name: what it is called in reports.
        formats: class to format; classes that are missing stay as they are.
        layers: for some weights another format, or None to keep them, by `unit_of`.
        keep_before_attention: leave the last Mamba layer before each attention layer.
        kv_cache: "FP8" declares such a cache and writes its scales.
    """

    name: str
    formats: Mapping[str, WeightFormat]
    layers: Mapping[str, WeightFormat | None] = field(default_factory=dict)
    keep_before_attention: bool = False
    kv_cache: str | None = None

    def __post_init__(self) -> None:
        for name in self.formats:
            if name not in QUANTIZABLE:
                known = "cannot be quantized" if name in CLASSES else "is no class of weights"
                raise ConfigError(
                    f"The recipe {self.name} names {name}, which {known}; these can be: "
                    f"{', '.join(sorted(QUANTIZABLE))}."
                )

    def format_of(self, name: str, pattern: str) -> WeightFormat | None:
        """The format of a weight by its name of ours; None if it stays as it is.

        Args:
            pattern: the letters of the model's layers.
        """
        found = class_of(name)
        if not found.can_be_quantized:
            return None
        unit = unit_of(name)
        if unit in self.layers:
            return self.layers[unit]
        is_mamba = found.name in (classes.MAMBA_IN, classes.MAMBA_OUT)
        if self.keep_before_attention and is_mamba and found.layer in before_attention(pattern):
            return None
        return self.formats.get(found.name)

    def as_values(self) -> dict[str, Any]:
        """The recipe as JSON; `recipe_from_values` reads it."""
        return {
            "name": self.name,
            "formats": {name: asdict(form) for name, form in self.formats.items()},
            "layers": {
                unit: None if form is None else asdict(form) for unit, form in self.layers.items()
            },
            "keep_before_attention": self.keep_before_attention,
            "kv_cache": self.kv_cache,
        }

    def changed(self, changes: Sequence[str]) -> "Recipe":
        """The recipe with `CLASS=FORMAT` in place of what it has for those classes, everywhere.

        Raises:
            ConfigError: there is no such class or format.
        """
        if not changes:
            return self
        wanted = format_changes(changes)
        formats = {name: form for name, form in self.formats.items() if name not in wanted}
        formats |= {name: form for name, form in wanted.items() if form is not None}
        layers = {
            unit: form for unit, form in self.layers.items() if class_of_unit(unit) not in wanted
        }
        name = f"{self.name} with {', '.join(changes)}"
        return replace(self, name=name, formats=formats, layers=layers)


def recipe_from_values(values: Any, source: str) -> Recipe:
    """What `Recipe.as_values` wrote.

    Raises:
        ConfigError: it is no recipe; `source` names the file.
    """
    try:
        return Recipe(
            name=values["name"],
            formats={name: WeightFormat(**form) for name, form in values["formats"].items()},
            layers={
                unit: None if form is None else WeightFormat(**form)
                for unit, form in values["layers"].items()
            },
            keep_before_attention=values["keep_before_attention"],
            kv_cache=values["kv_cache"],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{source} holds no recipe that can be read: {error!r}.") from error


def unit_of(name: str) -> str:
    """What is decided as one: a class in a layer, `3.experts`, or a class outside the layers.

    The two products of a shared expert, of an MLP and of a latent space are one unit each of
    their own: `3.shared-expert.up_proj`; all routed experts of a layer are one, and so are q, k, v.
    """
    found = class_of(name)
    unit = found.name if found.layer is None else f"{found.layer}.{found.name}"
    if found.name in (classes.SHARED, classes.MLP, classes.LATENT):
        part = name.removesuffix(".weight").rpartition(".")[2]
        # gate and up are one product to readers
        unit += "." + ("up_proj" if part == "gate_proj" else part)
    return unit


def class_of_unit(unit: str) -> str:
    """The class of what `unit_of` names."""
    first, _, rest = unit.partition(".")
    return rest.partition(".")[0] if first.isdigit() else first


def before_attention(pattern: str) -> frozenset[int]:
    """The last Mamba layer before each attention layer."""
    found, last = set(), None
    for idx, letter in enumerate(pattern):
        if letter in "Mm":
            last = idx
        elif letter == "*" and last is not None:
            found.add(last)
    return frozenset(found)


_PRODUCTS = (classes.MAMBA_IN, classes.MAMBA_OUT, classes.EXPERTS, classes.SHARED, classes.MLP)
_ALL_PRODUCTS = (*_PRODUCTS, classes.QKV, classes.O_PROJ, classes.LATENT)
_BESIDE_EXPERTS = (classes.MAMBA_IN, classes.MAMBA_OUT, classes.SHARED, classes.MLP)

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="nano-fp8",
            formats=dict.fromkeys(_PRODUCTS, FP8),
            keep_before_attention=True,
            kv_cache="FP8",
        ),
        Recipe(
            name="nano-nvfp4",
            formats=dict.fromkeys(_PRODUCTS, NVFP4),
            keep_before_attention=True,
            kv_cache="FP8",
        ),
        Recipe(
            name="super-nvfp4",
            formats={
                **dict.fromkeys(_BESIDE_EXPERTS, FP8),
                classes.EXPERTS: replace(NVFP4, search="mse"),
            },
            kv_cache="FP8",
        ),
        Recipe(
            name="ultra-nvfp4",
            formats={
                **dict.fromkeys(_BESIDE_EXPERTS, FP8),
                classes.EXPERTS: replace(NVFP4, search="four-over-six"),
            },
            kv_cache="FP8",
        ),
        Recipe(name="nano-vl-fp8", formats=dict.fromkeys(_ALL_PRODUCTS, FP8)),
        Recipe(name="nano-vl-nvfp4", formats=dict.fromkeys(_ALL_PRODUCTS, NVFP4)),
        Recipe(name="experts-int8", formats={classes.EXPERTS: WeightFormat(kind="INT8")}),
        Recipe(name="cpu-int4", formats=dict.fromkeys(_ALL_PRODUCTS, WeightFormat(kind="INT4"))),
    )
}
AUTO = "auto"


def recipe_named(name: str) -> Recipe:
    """A published recipe.

    Raises:
        ConfigError: there is none of that name.
    """
    if name in RECIPES:
        return RECIPES[name]
    near = get_close_matches(name, RECIPES, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join([*RECIPES, AUTO])}."
    raise ConfigError(f"There is no recipe {name!r}; {hint}")
