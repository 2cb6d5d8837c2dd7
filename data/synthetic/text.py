"""The characters the generator draws, and strings that cover them evenly."""

import random
import string

# All that may appear in a picture; every font has them all.
CHARSET = (
    " " + string.ascii_letters + string.digits + string.punctuation
    + "£€¥°§×–•" + "áàâäãåéèêëíîïñóôöõøúùûüçßÄÅÉÖØÜÇÑ"
)  # fmt: skip

_ALNUM = string.ascii_letters + string.digits
_CAPS = string.ascii_uppercase + string.digits
_VISIBLE = CHARSET[1:]

# Syllables of made-up words; what occurs twice is drawn twice as often.
_SYLLABLES = (
    "b c d f g h j k l m n p r s t v w z br ch cl cr dr fl fr gl gr kr pl pr qu sh sk sl sp st th"
    " tr tw v w y",
    "a e i o u a e i o ai ea ee ie oa oo ou y",
    "b ck d ff g l ll m n n nd ng nt p r r rd rk rn rt s s ss st t t th x z",
)
_ONSETS, _VOWELS, _CODAS = (part.split() for part in _SYLLABLES)


def random_string(rng: random.Random, length: int) -> str:
    """`length` characters drawn evenly from a pool that is itself drawn: all, alphanumeric, ..."""
    pool = rng.choice((_VISIBLE, _VISIBLE, _ALNUM, _CAPS, string.digits))
    return "".join(rng.choices(pool, k=length))


def pseudo_word(rng: random.Random) -> str:
    """A pronounceable word that is in no list, in lower case."""
    parts = []
    for _ in range(rng.choice((1, 2, 2, 2, 3))):
        parts.append(rng.choice(_ONSETS) + rng.choice(_VOWELS))
        if rng.random() < 0.4:
            parts.append(rng.choice(_CODAS))
    if len(parts) == 1:
        parts.append(rng.choice(_CODAS))
    return "".join(parts)


def casing(rng: random.Random, word: str) -> str:
    """The word as it is, with a capital, or all in capitals."""
    draw = rng.random()
    if draw < 0.45:
        return word
    return word.capitalize() if draw < 0.8 else word.upper()
