"""Animated GIF, WebP and PNG as videos: frame after frame by Pillow, each with its own time."""

import io
import time
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from ...errors import MediaError
from .clip import VideoLimits
from .images import DECODERS
from .to_rgb import to_rgb

Size = tuple[int, int]

ANIMATED = ("GIF", "WEBP", "PNG")
# What browsers do with a frame of no or hardly any time.
_SHORTEST_MS, _UNTIMED_MS = 20, 100


def num_pictures(data: bytes, kind: str, *, name: str) -> int:
    """How many frames a picture file holds.

    Raises:
        MediaError: it is damaged from the start.
    """
    if kind not in ANIMATED:
        return 1
    try:
        with DECODERS[kind](io.BytesIO(data)) as image:
            return getattr(image, "n_frames", 1)
    except Exception as error:  # Pillow's decoders raise many kinds for damage
        raise MediaError(f"{name} ({kind}) is damaged: {error}.") from error


class Animation:
    """A `FrameSource` over an animated picture; also over one with a single frame.

    A frame is drawn over those before it, so all up to the last chosen one are decoded, one at a
    time.
    """

    backend, peak_bytes = "pillow", 0

    def __init__(self, data: bytes, kind: str, *, name: str, limits: VideoLimits):
        """Reads how long each frame is shown.

        Raises:
            MediaError: the file is damaged from the start, or its frames are too large.
        """
        self.name, self.notes, self.fallbacks, self.num_decoded = name, [], [], 0
        self._data, self._kind, self._limits = data, kind, limits
        self._until = time.monotonic() + limits.total_s
        shown_ms: list[float] = []
        try:
            with self._decoder() as image:
                width, height = image.size
                if width * height > limits.max_frame_pixels:
                    raise MediaError(
                        f"{name} has frames of {width} x {height} pixels, more than the "
                        f"{limits.max_frame_pixels:,} accepted; make it smaller or raise "
                        "VideoLimits.max_frame_pixels (--video-limit max-frame-pixels=...)."
                    )
                for idx in range(getattr(image, "n_frames", 1)):
                    self._check_time()
                    image.seek(idx)
                    if kind == "WEBP":  # its times are known once a frame is decoded
                        image.load()
                    shown_ms.append(image.info.get("duration", 0))
        except MediaError:
            raise
        except Exception as error:
            if not shown_ms:
                raise MediaError(f"{name} ({kind}) is damaged: {error}.") from error
            self.notes.append(f"it is damaged after {len(shown_ms)} frames")
        self.size: Size = (height, width)
        lasts = [ms if ms >= _SHORTEST_MS else _UNTIMED_MS for ms in shown_ms[:-1]]
        self.times = np.concatenate([[0.0], np.cumsum(lasts) / 1000])

    def read(self, indices: Sequence[int], size: Size) -> Iterator[tuple[int, np.ndarray]]:
        """As `FrameSource.read`."""
        with self._decoder() as image:
            for idx in indices:
                self._check_time()
                try:
                    image.seek(idx)
                    image.load()
                except Exception:
                    return
                self.num_decoded = max(self.num_decoded, idx + 1)
                yield idx, scaled(to_rgb(image, name=self.name), size)

    def _check_time(self) -> None:
        if time.monotonic() > self._until:
            raise MediaError(
                f"{self.name} takes more than {self._limits.total_s:g} seconds to decode; raise "
                "VideoLimits.total_s (--video-limit total-s=...)."
            )

    def _decoder(self) -> Image.Image:
        return DECODERS[self._kind](io.BytesIO(self._data))


def scaled(image: Image.Image, size: Size) -> np.ndarray:
    """An RGB picture as uint8 (height, width, 3) of a size."""
    height, width = size
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image)
