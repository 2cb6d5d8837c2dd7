"""A list or a folder of pictures as a video."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import MediaError
from ..video import frame_times
from .animation import scaled
from .open import open_media
from .types import DEFAULT_LIMITS, MediaLimits

Size = tuple[int, int]

TIMES_FILE = "timestamps.txt"
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")


class PictureList:
    """A `FrameSource` over pictures; only the chosen ones are opened.

    Attributes:
        starts_at: seconds of the first picture; `times` begin at 0.
    """

    backend, peak_bytes = "pictures", 0

    def __init__(
        self,
        pictures: Sequence[Any],
        times: Sequence[float],
        *,
        name: str,
        limits: MediaLimits = DEFAULT_LIMITS,
    ):
        """Takes pictures and the second each was taken at, as many of both.

        Raises:
            MediaError: there is no picture, the first cannot be opened, or the times fall.
        """
        self.name, self.notes, self.fallbacks, self.num_decoded = name, [], [], 0
        self._pictures, self._limits = pictures, limits
        self.times = np.asarray(times, dtype=np.float64)
        image = open_media(pictures[0], pages=[1], limits=limits)[0].image
        self.size: Size = (image.height, image.width)

    def read(self, indices: Sequence[int], size: Size) -> Iterator[tuple[int, np.ndarray]]:
        """As `FrameSource.read`.

        Raises:
            MediaError: a picture cannot be opened, or has another size than the first.
        """
        for idx in indices:
            image = open_media(self._pictures[idx], pages=[1], limits=self._limits)[0].image
            if (image.height, image.width) != self.size:
                raise MediaError(
                    f"Frame {idx + 1} of {self.name} is {image.width} x {image.height} pixels but "
                    f"frame 1 is {self.size[1]} x {self.size[0]}; the frames of one video have one "
                    "size."
                )
            self.num_decoded += 1
            yield idx, scaled(image, size)


def open_folder(
    folder: Path, *, fps: float | None, timestamps: Sequence[float] | None
) -> PictureList:
    """The pictures of a folder, in the order of the numbers in their names.

    Their times are `timestamps`, or follow from `fps`, or stand in `timestamps.txt`, one number of
    seconds a line; without any they are a second apart, which is noted.

    Raises:
        MediaError: there are no pictures, or not as many times.
    """
    paths = [path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES]
    paths.sort(key=lambda path: _numbers_in(path.name))
    if not paths:
        raise MediaError(f"The folder {folder} holds no pictures ({', '.join(_SUFFIXES)}).")
    file, note = folder / TIMES_FILE, None
    if timestamps is None and fps is None and file.is_file():
        timestamps = _read_times(file)
    if timestamps is None:
        timestamps = frame_times(range(len(paths)), fps or 1.0)
        if fps is None:
            note = f"it says no times ({TIMES_FILE}, or fps), so its pictures are a second apart"
    if len(timestamps) != len(paths):
        raise MediaError(
            f"The folder {folder} holds {len(paths)} pictures but there are {len(timestamps)} "
            "times; give one for each."
        )
    source = PictureList(paths, timestamps, name=str(folder))
    if note:
        source.notes.append(note)
    return source


def _read_times(file: Path) -> list[float]:
    try:
        times = [float(line) for line in file.read_text(encoding="utf-8").split()]
    except (OSError, ValueError) as error:
        raise MediaError(f"{file} must hold one number of seconds a line: {error}.") from error
    if not np.isfinite(times).all() or any(a > b for a, b in zip(times, times[1:], strict=False)):
        raise MediaError(f"{file} must hold seconds that never fall.")
    return times


def _numbers_in(name: str) -> list[tuple[int, int, str]]:
    """A key that puts frame 10 after frame 9."""
    parts = re.split(r"(\d+)", name)
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts]
