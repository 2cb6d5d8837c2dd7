"""Whether a picture looks like a photograph rather than print: by its colours, nothing is read.

Print stands on paper: one colour, give or take the noise of a scan, covers most of the page. A
photograph has no such colour. Charts and cards with large areas of a few colours count as print.
"""

import itertools

import numpy as np
from PIL import Image

_SIDE = 128  # enough to see paper by
_BINS = 16  # of each channel; a bin and its neighbours are one colour
_COLOURS = 3  # paper, and the areas of a chart or a card
# Of a photograph, by so many colours: photographs tried had 0.47 to 0.69; drawn documents of every
# level, crisp and as the worst scans, 0.80 and more.
MOST_COVERED = 0.74


def covered(image: Image.Image) -> float:
    """The share of a picture that its few commonest colours cover, in (0, 1]."""
    small = image.convert("RGB")
    small.thumbnail((_SIDE, _SIDE))
    bins_P3 = np.asarray(small, dtype=np.int64).reshape(-1, 3) * _BINS // 256
    counts = np.zeros((_BINS + 2,) * 3, dtype=np.int64)
    np.add.at(counts, tuple((bins_P3 + 1).T), 1)
    total = 0
    for _ in range(_COLOURS):
        shifts = itertools.product((-1, 0, 1), repeat=3)
        near = np.stack([np.roll(counts, shift, (0, 1, 2)) for shift in shifts]).sum(0)
        place = np.unravel_index(int(np.argmax(near)), counts.shape)
        around = tuple(slice(max(each - 1, 0), each + 2) for each in place)
        total += int(counts[around].sum())
        counts[around] = 0
    return total / len(bins_P3)


def looks_like_photo(image: Image.Image) -> bool:
    """Whether no few colours cover most of a picture."""
    return covered(image) < MOST_COVERED
