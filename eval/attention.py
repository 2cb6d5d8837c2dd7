"""Where an answer looked, as few numbers for the record: its pages and frames that got most.

    {"kind": "page", "index": 0, "share": 0.97, "map": [[0, 12, 255], ...]}
    {"kind": "frames", "index": 0, "frames": [4, 5], "share": ..., "map": ...}

A page's `index` counts the pages of all documents, a video's the videos; `frames` are places among
the frames that were seen. A map has 255 where the most attention of any token went.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from ..vlm.explaining import Explanation

MOST_KEPT, MOST_SIDE = 4, 32


def attention_record(seen: Explanation) -> list[dict[str, Any]]:
    """The pages, and the frames of videos, that got most of the attention, in their order."""
    found: list[tuple[dict[str, Any], Tensor]] = []
    for idx, page in enumerate(seen.pages):
        if page.looked is not None:
            found.append(({"kind": "page", "index": idx}, page.looked))
    for idx, video in enumerate(seen.videos):
        for tubelet, values in enumerate(() if video.looked is None else video.looked):
            frames = list(video.frames_of(tubelet))
            found.append(({"kind": "frames", "index": idx, "frames": frames}, values))
    by_share = sorted(range(len(found)), key=lambda idx: -float(found[idx][1].sum()))
    kept = [found[idx] for idx in sorted(by_share[:MOST_KEPT])]
    maps = [_pooled(values) for _, values in kept]
    most = max((float(each.max()) for each in maps), default=0.0)
    return [
        {
            **what,
            "share": round(float(values.sum()), 4),
            "map": (small * (255 / max(most, 1e-30))).round().int().tolist(),
        }
        for (what, values), small in zip(kept, maps, strict=True)
    ]


def _pooled(values: Tensor) -> Tensor:
    """At most `MOST_SIDE` rows and columns; cells are means."""
    rows, cols = (min(side, MOST_SIDE) for side in values.shape)
    return adaptive_avg_pool2d(values.to(torch.float32)[None], (rows, cols))[0]
