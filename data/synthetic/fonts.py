"""The fonts the generator may use, and which of them training never sees.

All lie in `data/fonts/` as static TrueType files, subset to Latin, each with its licence in
`data/fonts/licenses/`. They carry no hinting (a short no-op `prep` program also keeps FreeType's
automatic hinter away), so the same glyph is drawn from its bare outline everywhere. System fonts
are never used.
"""

from dataclasses import dataclass
from pathlib import Path

from ...errors import ConfigError

FONT_FOLDER = Path(__file__).resolve().parent.parent / "fonts"


@dataclass(frozen=True, kw_only=True)
class Font:
    """One font file: its name, its kind, and the family whose licence covers it."""

    name: str
    kind: str
    family: str

    @property
    def path(self) -> Path:
        return FONT_FOLDER / f"{self.name}.ttf"

    @property
    def license_path(self) -> Path:
        return FONT_FOLDER / "licenses" / f"{self.family}.txt"


def _font(name: str, kind: str, family: str | None = None) -> Font:
    return Font(name=name, kind=kind, family=family or name)


_TRAIN = (
    _font("aleo", "slab"),
    _font("arimo", "sans"),
    _font("arimo_bold", "bold", "arimo"),
    _font("cousine", "mono"),
    _font("dejavu_sans", "sans"),
    _font("dm_mono", "mono"),
    _font("eb_garamond", "serif"),
    _font("inter", "sans"),
    _font("jetbrains_mono", "mono"),
    _font("noto_serif", "serif"),
    _font("open_sans", "sans"),
    _font("public_sans", "sans"),
    _font("roboto_condensed", "condensed"),
    _font("roboto_slab", "slab"),
    _font("tinos", "serif"),
    _font("tinos_italic", "italic", "tinos"),
)
_HELDOUT = (
    _font("bitter", "slab"),
    _font("crimson_pro", "serif"),
    _font("roboto_mono", "mono"),
    _font("work_sans", "sans"),
)

FONTS: dict[str, Font] = {font.name: font for font in _TRAIN + _HELDOUT}
TRAIN_FONTS: tuple[str, ...] = tuple(font.name for font in _TRAIN)
HELDOUT_FONTS: tuple[str, ...] = tuple(font.name for font in _HELDOUT)


def get_font(name: str) -> Font:
    """Returns the font of that name.

    Raises:
        ConfigError: if there is no such font.
    """
    try:
        return FONTS[name]
    except KeyError:
        known = ", ".join(FONTS)
        raise ConfigError(f"There is no font {name!r}; the fonts are {known}.") from None
