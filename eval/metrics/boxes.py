"""Boxes: overlap with one gold box, and spotting of all texts of a page.

Spotting is end-to-end recognition of the ICDAR 2015 Robust Reading Competition (D. Karatzas et al.,
ICDAR 2015, section V): a text counts if its box overlaps a gold box by more than half of their
union and says the same. All boxes are `(left, top, right, bottom)` in thousandths of the picture.
"""

import re
from collections.abc import Sequence

from .literal import read_literal

Box = tuple[int, int, int, int]

_FOUR = re.compile(r"[\(\[]\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*[\)\]]")
_GROUP = re.compile(r"[\[\(]\s*([^\[\]\(\)]*?)\s*[\]\)]")
_QUOTED = re.compile(r'^\s*"(.*)"\s*$')
_SPECIAL = "!?.:,*\"()·[]/'"
_DO_NOT_CARE = "###"
_LARGEST = 1000


def read_box(reply: str) -> Box | None:
    """The last four coordinates in brackets that lie within the picture."""
    boxes = [(int(a), int(b), int(c), int(d)) for a, b, c, d in _FOUR.findall(reply)]
    inside = [box for box in boxes if max(box) <= _LARGEST]
    return inside[-1] if inside else None


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two boxes of whole pixels; 0 if their union has no area."""
    a, b = [int(value) for value in a], [int(value) for value in b]
    shared = _overlap(a, b)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if union else 0.0


def _overlap(a: Sequence[int], b: Sequence[int]) -> int:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(0, width) * max(0, height)


def position_iou(text: str, gold: Sequence[float]) -> float:
    """IoU of a box written as a Python list or tuple; 0 if it is none."""
    try:
        return iou(read_literal(text), gold)
    except (ValueError, TypeError, IndexError):
        return 0.0


def read_spots(reply: str) -> list[tuple[Box, str]]:
    """Every `left, top, right, bottom, text` of a reply, once each: as Python, else in brackets."""
    try:
        value = read_literal(reply)
    except ValueError:
        value = None
    if value is None:
        items = [group.split(",", 4) for group in _GROUP.findall(reply)]
    else:
        items = value if isinstance(value, list | tuple) else []
    spots: dict[tuple[Box, str], None] = {}
    for item in items:
        if not isinstance(item, list | tuple) or len(item) < 5:
            continue
        try:
            box = tuple(int(str(part).strip()) for part in item[:4])
        except ValueError:
            continue
        if all(0 <= part <= _LARGEST for part in box):
            text = str(item[4]).replace("\n", "").strip().strip('"').strip("'")
            spots[(box[0], box[1], box[2], box[3]), text] = None
    return list(spots)


def spotting_f1(spots: Sequence[tuple[Box, str]], golds: Sequence[tuple[Box, str]]) -> float:
    """Harmonic mean of precision and recall of the texts found.

    A gold "###" cannot be read by anyone: it counts on neither side, nor does a spot of which more
    than half lies in it. Each gold takes the first spot that overlaps it, even if that says another
    thing.
    """
    found = [(box, _unquoted(text)) for box, text in spots if box[0] < box[2] and box[1] < box[3]]
    golds = [(box, _unquoted(text)) for box, text in golds]
    if not found or not golds:
        return 0.0
    ignored = [box for box, text in golds if text == _DO_NOT_CARE]
    cared = [(box, text) for box, text in golds if text != _DO_NOT_CARE]
    left = [(box, text) for box, text in found if not any(_lies_in(box, area) for area in ignored)]
    expected, given, right = len(cared), len(left), 0
    for gold_box, gold_text in cared:
        taken = next((spot for spot in left if iou(spot[0], gold_box) > 0.5), None)
        if taken is not None:
            left.remove(taken)
            right += _says(taken[1].upper(), gold_text.upper())
    if not right:
        return 0.0
    recall, precision = right / expected, right / given
    return 2 * recall * precision / (recall + precision)


def _lies_in(box: Box, area: Box) -> bool:
    return _overlap(box, area) > 0.5 * (box[2] - box[0]) * (box[3] - box[1])


def _unquoted(text: str) -> str:
    quoted = _QUOTED.match(text)
    return quoted.group(1).replace("\\\\", "\\").replace('\\"', '"') if quoted else text


def _says(text: str, gold: str) -> bool:
    """Equal, or equal but for one punctuation mark at either end of the gold."""
    starts, ends = gold[:1] in _SPECIAL, gold[-1:] in _SPECIAL
    return bool(gold) and (
        text == gold
        or (starts and text == gold[1:])
        or (ends and text == gold[:-1])
        or (starts and ends and text == gold[1:-1])
    )


def corners_to_box(points: Sequence[int]) -> Box:
    """The upright box around points given as x, y, x, y ..."""
    return min(points[0::2]), min(points[1::2]), max(points[0::2]), max(points[1::2])
