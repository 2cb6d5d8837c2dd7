"""Small examples for tests of packing and training."""

import numpy as np

from latentvlm.data.packing import Example


def example(tokens: int, patches: int = 4, *, first: int = 1) -> Example:
    """An example of ids `first`, `first + 1`, ...; its second half is labelled."""
    ids = np.arange(first, first + tokens, dtype=np.int64)
    labels = ids.copy()
    labels[: tokens // 2] = -100
    return Example(
        input_ids=ids,
        labels=labels,
        pixel_values=np.full((patches, 12), first, dtype=np.float32),
        image_grid_hw=np.array([[2, patches // 2]], dtype=np.int64),
        char_targets=np.full((patches, 2), first, dtype=np.int64),
        kinds=("value",),
    )
