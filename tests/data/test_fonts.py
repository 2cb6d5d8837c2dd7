"""The bundled fonts: licensed, small, complete, and split in two."""

import pytest
from PIL import ImageFont

from latentvlm.data.synthetic import CHARSET
from latentvlm.data.synthetic.fonts import (
    FONT_FOLDER,
    FONTS,
    HELDOUT_FONTS,
    TRAIN_FONTS,
    get_font,
)
from latentvlm.errors import ConfigError


def test_every_file_is_listed_and_every_font_has_its_file_and_licence():
    assert {path.stem for path in FONT_FOLDER.glob("*.ttf")} == set(FONTS)
    licences = {font.license_path for font in FONTS.values()}
    assert set((FONT_FOLDER / "licenses").iterdir()) == licences
    for path in licences:
        assert "permission" in path.read_text(encoding="utf-8").lower(), path.name


def test_all_fonts_together_stay_small():
    total = sum(path.stat().st_size for path in FONT_FOLDER.rglob("*") if path.is_file())
    assert total <= 4 * 2**20


def test_training_and_heldout_fonts_are_disjoint_and_cover_several_kinds():
    assert not set(TRAIN_FONTS) & set(HELDOUT_FONTS)
    assert 12 <= len(FONTS) <= 20
    kinds = {name: FONTS[name].kind for name in FONTS}
    assert {kinds[name] for name in HELDOUT_FONTS} == {"sans", "serif", "mono", "slab"}
    families = {FONTS[name].family for name in TRAIN_FONTS}
    assert not families & {FONTS[name].family for name in HELDOUT_FONTS}


@pytest.mark.parametrize("name", sorted(FONTS))
def test_every_font_draws_every_character_of_the_set(name):
    # A character the font lacks is drawn as its "not defined" box.
    font = ImageFont.truetype(str(FONTS[name].path), 24, layout_engine=ImageFont.Layout.BASIC)
    missing = bytes(font.getmask("\uffff"))
    lacking = [char for char in CHARSET[1:] if bytes(font.getmask(char)) == missing]
    assert not lacking
    assert font.getbbox(" ")[2] > 0 and font.getmask(" ").getbbox() is None


def test_an_unknown_font_is_named_with_the_known_ones():
    with pytest.raises(ConfigError, match="no font 'papyrus'.*arimo"):
        get_font("papyrus")
