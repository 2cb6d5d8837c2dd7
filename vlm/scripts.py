"""In which scripts a text is written, and which of them a model's languages are written in."""

import unicodedata
from collections.abc import Sequence

_OF_LANGUAGE = {
    "LATIN": "cs da de en es et fi fr hr hu id it lt lv nb nl no pl pt ro sk sl sq sv sw tr vi",
    "CYRILLIC": "be bg kk mk mn ru sr uk",
    "GREEK": "el",
    "ARABIC": "ar fa ur",
    "HEBREW": "he yi",
    "DEVANAGARI": "hi mr ne",
    "HANGUL": "ko",
    "CJK": "zh ja",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "THAI": "th",
}


def scripts_of(text: str) -> list[str]:
    """The scripts of its letters, by their Unicode names, in the order of appearance."""
    names = (unicodedata.name(char, "").split(" ")[0] for char in text if char.isalpha())
    return [name for name in dict.fromkeys(names) if name]


def strange_scripts(text: str, languages: Sequence[str]) -> list[str]:
    """Scripts of a text that none of the languages is written in; none if a language is unknown."""
    known: set[str] = set()
    for language in languages:
        own = {name for name, codes in _OF_LANGUAGE.items() if language in codes.split()}
        if not own:
            return []
        known |= own
    # Signs such as the ordinal and the micro are letters of no script.
    named = [name for name in scripts_of(text) if name in _OF_LANGUAGE]
    return [name for name in named if name not in known] if languages else []
