"""Where a video cuts to something else, seen on thumbnails.

A cut is a step from one thumbnail to the next that is several times the usual step around it
and that can be seen at all: so a moving camera has none, and a slide that changes has one.
"""

import numpy as np

# Height and width of a thumbnail: enough to see that a title has changed.
THUMBNAIL = (36, 64)
# Thumbnails a second, and of one video.
THUMBNAIL_FPS, MAX_THUMBNAILS = 8.0, 512
_AROUND = 8
# Of 255, over a thumbnail; a mouse pointer gives about 0.2, a line of text on a slide 2.
_LEAST_STEP, _TIMES_USUAL = 1.0, 3.0


def find_scenes(thumbnails: np.ndarray) -> list[tuple[int, float]]:
    """The first thumbnail of each scene, and by how much it differs from the one before.

    Args:
        thumbnails: uint8 `(n, height, width, 3)`, in order, at least one.

    Returns:
        `(index, step)`, rising; the first is thumbnail 0, with an infinite step.
    """
    values = thumbnails.astype(np.float32)
    steps = np.abs(np.diff(values, axis=0)).mean(axis=(1, 2, 3))
    scenes = [(0, float("inf"))]
    for idx, step in enumerate(steps):
        around = np.delete(steps[max(0, idx - _AROUND) : idx + _AROUND + 1], min(idx, _AROUND))
        usual = float(np.median(around)) if len(around) else 0.0
        if step > _LEAST_STEP + _TIMES_USUAL * usual:
            scenes.append((idx + 1, float(step)))
    return scenes


def strongest(scenes: list[tuple[int, float]], number: int) -> list[tuple[int, float]]:
    """The `number` scenes that differ most from what was before them, in order."""
    kept = sorted(scenes, key=lambda scene: -scene[1])[:number]
    return sorted(kept)
