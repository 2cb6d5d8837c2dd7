"""What reading a video gives (`Clip`, `VideoReport`) and what it may cost (`VideoLimits`)."""

import math
from dataclasses import dataclass, field

import numpy as np

from ...errors import ConfigError, MediaError


@dataclass(frozen=True, kw_only=True)
class VideoReport:
    """Which frames of a video were looked at, and how they were got.

    Example:
        ```python
        import latentvlm

        answer = latentvlm.load("my-model").ask("What happens?", "clip.mp4", frames=4)
        print(answer.frames[0].timestamps, answer.frames[0].backend)
        ```

    Attributes:
        source: where it came from, readable.
        indices: of the chosen frames, counted from 0.
        timestamps: seconds at which they are shown, the video beginning at 0.
        num_frames: that the video has.
        duration_s: of the whole video.
        size: of its frames upright, (height, width) in pixels.
        way: how frames were chosen: "uniform", "steps", "scene", or "given".
        scenes: seconds at which scenes begin, if they were looked for.
        backend: "decord", "pyav", "pillow" (animations), "pictures" or "frames" (given as such).
        num_decoded: frames that were decoded to get the chosen ones.
        notes: a sentence for each thing that a user should know.
        fallbacks: why each backend before this one did not serve.
    """

    source: str
    indices: tuple[int, ...]
    timestamps: tuple[float, ...]
    num_frames: int
    duration_s: float
    size: tuple[int, int]
    way: str
    scenes: tuple[float, ...] = ()
    backend: str
    num_decoded: int
    notes: tuple[str, ...] = ()
    fallbacks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Clip:
    """The chosen frames of a video.

    Attributes:
        frames: uint8 (height, width, 3) RGB, upright, all of one size; smaller than
            `report.size` if they were scaled as they were decoded.
        report: which they are, and how they were got.
        decoder_peak_bytes: the most memory that the decoding process held; 0 without one.
    """

    frames: tuple[np.ndarray, ...] = field(repr=False)
    report: VideoReport
    decoder_peak_bytes: int = 0

    @property
    def timestamps(self) -> tuple[float, ...]:
        return self.report.timestamps


@dataclass(frozen=True, kw_only=True)
class VideoLimits:
    """What reading one video may cost.

    Example:
        ```python
        import latentvlm

        vlm = latentvlm.load("my-model")
        limits = latentvlm.VideoLimits(max_duration_s=600, total_s=60)
        print(vlm.ask("What happens?", "clip.mp4", video_limits=limits).frames[0].duration_s)
        ```

    Attributes:
        max_bytes: size of the file, of which only parts are held in memory.
        max_duration_s: from its first to its last frame.
        max_frame_pixels: width times height of a frame as stored; the default takes 8K.
        max_frames: chosen frames.
        max_total_pixels: of the chosen frames together, after scaling (three bytes each).
        max_decoder_bytes: memory of the decoding process, where the system can hold it to that
            (Linux).
        stall_s: seconds without a sign of life after which a decoder is killed.
        total_s: seconds after which it is killed in any case.
    """

    max_bytes: int = 64 * 1024**3
    max_duration_s: float = 48 * 3600.0
    max_frame_pixels: int = 7680 * 4320
    max_frames: int = 2048
    max_total_pixels: int = 400_000_000
    max_decoder_bytes: int = 4 * 1024**3
    stall_s: float = 20.0
    total_s: float = 300.0

    def __post_init__(self) -> None:
        for key, value in vars(self).items():
            if not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
                raise ConfigError(f"VideoLimits.{key} is {value!r} but must be a number above 0.")


DEFAULT_VIDEO_LIMITS = VideoLimits()


def check_choice(num_frames: int, size: tuple[int, int], name: str, limits: VideoLimits) -> None:
    """Refuses a choice of frames before memory is spent on it.

    Args:
        num_frames: how many were chosen.
        size: of a frame as it will be held, (height, width).

    Raises:
        MediaError: too many frames, or too many pixels together.
    """
    if num_frames > limits.max_frames:
        raise MediaError(
            f"{num_frames} frames of {name} are more than the {limits.max_frames} that are opened "
            "at once; choose fewer with frames=... or raise VideoLimits.max_frames "
            "(--video-limit max-frames=...)."
        )
    total = num_frames * size[0] * size[1]
    if total > limits.max_total_pixels:
        raise MediaError(
            f"{num_frames} frames of {name} have {total:,} pixels together, more than the "
            f"{limits.max_total_pixels:,} accepted; choose fewer with frames=... or raise "
            "VideoLimits.max_total_pixels (--video-limit max-total-pixels=...)."
        )


def check_duration(seconds: float, name: str, limits: VideoLimits) -> None:
    """Raises MediaError for a video that is too long."""
    if seconds > limits.max_duration_s:
        raise MediaError(
            f"{name} lasts {seconds:,.0f} seconds, more than the {limits.max_duration_s:,.0f} "
            "accepted; raise VideoLimits.max_duration_s (--video-limit max-duration-s=...)."
        )
