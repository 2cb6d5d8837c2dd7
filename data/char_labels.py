"""Which character stands in which patch: dense targets for warming up a vision tower.

Every patch has `SLOTS` slots, side by side. A character belongs to the slot its centre falls
in; where two centres share a slot the right one moves to the next slot if that one is free
(the reading order stays), else it is left out. Class 0 is an empty slot.
"""

from __future__ import annotations

import numpy as np

from .synthetic.text import CHARSET as GENERATOR_CHARSET

SLOTS = 2
BLANK = 0
IGNORE = -100
CHARSET = GENERATOR_CHARSET.replace(" ", "")  # a blank draws no ink
NUM_CLASSES = len(CHARSET) + 1

_CLASS_OF = np.full(0x3000, IGNORE, dtype=np.int64)
_CLASS_OF[[ord(char) for char in CHARSET]] = np.arange(1, NUM_CLASSES)


def char_targets(
    codes: np.ndarray,
    centers: np.ndarray,
    *,
    size: tuple[int, int],
    grid: tuple[int, int],
) -> np.ndarray:
    """Classes of the slots of one picture.

    Args:
        codes: `(chars,)` Unicode code points; a character outside `CHARSET` marks its slot
            as ignored.
        centers: `(chars, 2)` centres as (x, y), in pixels of the picture as drawn.
        size: `(height, width)` of the picture as drawn, in pixels.
        grid: `(rows, columns)` of patches it is resized to.

    Returns:
        int64 `(rows * columns, SLOTS)`: 0 for empty, 1.. for `CHARSET`, -100 for ignored.
    """
    rows, columns = grid
    slots = columns * SLOTS
    targets = np.zeros(rows * slots, dtype=np.int64)
    codes = np.asarray(codes, dtype=np.int64)
    centers = np.asarray(centers, dtype=np.float64).reshape(-1, 2)
    if len(codes):
        row = np.clip((centers[:, 1] * (rows / size[0])).astype(np.int64), 0, rows - 1)
        slot = np.clip((centers[:, 0] * (slots / size[1])).astype(np.int64), 0, slots - 1)
        place = row * slots + slot
        order = np.lexsort((centers[:, 0], place))
        place, codes, slot = place[order], codes[order], slot[order]
        crowded = np.concatenate([[False], place[1:] == place[:-1]])
        moved = place + (crowded & (slot < slots - 1))
        # Moved characters are written first, so that one whose centre is truly there wins.
        classes = np.where(codes < len(_CLASS_OF), _CLASS_OF[codes % len(_CLASS_OF)], IGNORE)
        targets[moved[crowded & (moved != place)]] = classes[crowded & (moved != place)]
        targets[place[~crowded]] = classes[~crowded]
    return targets.reshape(rows * columns, SLOTS)


def read_slots(classes: np.ndarray, *, grid: tuple[int, int]) -> list[str]:
    """Text of each patch row, slots left to right; rows without characters are left out.

    Args:
        classes: int `(rows * columns, SLOTS)` as from `char_targets` or a head's best classes.
        grid: `(rows, columns)` of patches.
    """
    table = np.asarray(classes).reshape(grid[0], grid[1] * SLOTS)
    texts = ("".join(CHARSET[c - 1] for c in row if c > 0) for row in table)
    return [text for text in texts if text]
