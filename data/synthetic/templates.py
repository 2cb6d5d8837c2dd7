"""The templates: kinds of document, each in several arrangements, some of them held out."""

from collections.abc import Callable
from dataclasses import dataclass

from ...errors import ConfigError
from .charts import draw_chart
from .config import GeneratorConfig
from .draft import Draft
from .listings import draw_table
from .paperwork import draw_card, draw_form, draw_invoice, draw_pairs, draw_receipt
from .writing import draw_letter, draw_note

# Lines a document of each level may have: least and most.
ROOM: dict[str, tuple[int, int]] = {"lines": (2, 3), "small": (3, 6), "page": (8, 32)}


@dataclass(frozen=True, kw_only=True)
class Template:
    """A kind of document in one arrangement.

    Attributes:
        kind: "receipt", "invoice", "form", ...
        variant: the arrangement, a word the kind's builder knows.
        levels: the levels it serves.
        heldout: whether training never sees it.
        build: writes the rows: `build(draft, room, variant)`, `room` being lines to fill.
        weight: how often it is drawn, relative to others.
    """

    kind: str
    variant: str
    levels: tuple[str, ...]
    heldout: bool
    build: Callable[[Draft, int, str], None]
    weight: int = 1

    @property
    def name(self) -> str:
        return f"{self.kind}_{self.variant}"


def _family(
    kind: str,
    build: Callable[[Draft, int, str], None],
    levels: tuple[str, ...],
    train: tuple[str, ...],
    heldout: tuple[str, ...],
    weight: int = 1,
) -> tuple[Template, ...]:
    return tuple(
        Template(kind=kind, variant=variant, levels=levels, heldout=variant in heldout,
                 build=build, weight=weight)
        for variant in train + heldout
    )  # fmt: skip


_ALL = (
    *_family("pairs", draw_pairs, ("lines", "small"), ("inline", "columns", "justified", "boxed"),
             ("dotted", "underlined"), weight=2),
    *_family("card", draw_card, ("lines", "small"), ("left", "center"), ("right",)),
    # Notes have one layout; what is held out of training is their sentences.
    *_family("note", draw_note, ("lines", "small"), ("plain",), ("other",)),
    *_family("table", draw_table, ("lines", "small", "page"), ("plain", "ruled", "shaded", "grid"),
             ("lined",)),
    *_family("chart", draw_chart, ("lines", "small", "page"), ("bars", "columns"), ("tight",)),
    *_family("receipt", draw_receipt, ("small", "page"), ("plain", "times", "columns"),
             ("dotted",)),
    *_family("invoice", draw_invoice, ("small", "page"), ("inline", "columns", "split"),
             ("justified",)),
    *_family("form", draw_form, ("small", "page"), ("inline", "columns", "stacked", "boxed"),
             ("justified", "underlined")),
    *_family("letter", draw_letter, ("small", "page"), ("left", "center"), ("right",)),
)  # fmt: skip

TEMPLATES: dict[str, Template] = {template.name: template for template in _ALL}


def templates_for(config: GeneratorConfig) -> tuple[Template, ...]:
    """The templates that serve a configuration's level and split, or those it names.

    Raises:
        ConfigError: if a named template does not exist or does not serve the level.
    """
    if config.templates:
        for name in config.templates:
            if name not in TEMPLATES or config.level not in TEMPLATES[name].levels:
                known = ", ".join(n for n, t in TEMPLATES.items() if config.level in t.levels)
                raise ConfigError(
                    f"There is no template {name!r} of level {config.level!r}; there are {known}."
                )
        return tuple(TEMPLATES[name] for name in config.templates)
    heldout = config.split == "heldout"
    return tuple(
        template for template in _ALL
        if config.level in template.levels and template.heldout == heldout
    )  # fmt: skip
