"""The names that are nearest to one that is not known, for an error message."""

from collections.abc import Sequence
from difflib import get_close_matches

_MOST = 4


def nearest(name: str, known: Sequence[str]) -> str:
    """`did you mean 'a' or 'b'?`, or all that there are where none is near."""
    asked = name.lower()
    begun = [each for each in known if asked and each.startswith(asked)]
    alike = get_close_matches(asked, known, n=_MOST)
    # a part of a name, as "super" is, is like none of them by its letters
    within = [each for each in known if len(asked) > 2 and asked in each]
    near = list(dict.fromkeys([*begun, *alike, *within]))[:_MOST]
    if not near:
        return f"known are {', '.join(known)}"
    *first, last = [repr(each) for each in near]
    return f"did you mean {', '.join(first)} or {last}?" if first else f"did you mean {last}?"
