"""A video as messages hold it: frames and the second each was taken at; and their labels.

    {"type": "video", "frames": [...], "timestamps": [0.0, 0.5, ...]}
    {"type": "video", "frames": [...], "fps": 2}
    {"type": "video", "frames": [...], "fps": 30, "frame_indices": [0, 15, 30, ...]}

A video file is opened before it comes here (`media/video.py`); `size` is then what its frames
were scaled from.

With `"evs_rate": 0.5`, or `"evs"` and an `EVSConfig`, a video is pruned in its own way.

Frames are pictures of one size. `fps` is that of the video the frames were taken from and
`frame_indices` which of its frames they are, all of them if it is absent.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError, MediaError, PromptError
from ..token_reduction.evs import EVSConfig

EXAMPLE = "{'type': 'video', 'frames': [...], 'fps': 2}"
KEYS = ("type", "frames", "timestamps", "fps", "frame_indices", "size", "evs", "evs_rate")


@dataclass(frozen=True, kw_only=True)
class Video:
    """Frames in order, the second each was taken at, and how it is pruned if in its own way.

    Attributes:
        size: (height, width) of the frames before they were scaled, if they were.
    """

    frames: tuple[Any, ...]
    timestamps: tuple[float, ...]
    evs: EVSConfig | None = None
    size: tuple[int, int] | None = None


def video_of_part(part: Mapping[str, Any], where: str) -> Video:
    """The video of a message part; `where` names the message in errors.

    Raises:
        PromptError: the part lacks frames or times, has not as many of both, or has a key that
            no video has.
        MediaError: the part gives a file, one picture, or no frame at all.
    """
    frames = part.get("frames")
    if frames is None or isinstance(frames, str | bytes) or not hasattr(frames, "__len__"):
        raise MediaError(
            f"{where} gives a video as something other than frames: give pictures, {EXAMPLE}, or "
            "a file, {'type': 'video', 'video': path}, to VLM.ask."
        )
    if getattr(frames, "ndim", 4) != 4:
        raise MediaError(
            f"{where} gives the frames of a video as one array of shape {tuple(frames.shape)}; "
            "it is (frames, height, width, 3), or give a list of pictures."
        )
    if unknown := sorted(map(str, part.keys() - set(KEYS))):
        raise PromptError(
            f"{where} holds a video with {', '.join(unknown)}; a video has {', '.join(KEYS)}."
        )
    if not len(frames):
        raise MediaError(f"{where} holds a video without frames, so there is nothing to see.")
    frames = tuple(frames)
    times = _times(part, len(frames), where)
    if len(times) != len(frames):
        raise PromptError(
            f"{where} holds a video of {len(frames)} frames but {len(times)} times; give one for "
            "each frame."
        )
    own = read_evs(part.get("evs"), part.get("evs_rate"))
    return Video(frames=frames, timestamps=times, evs=own, size=part.get("size"))


def read_evs(evs: Any, evs_rate: Any) -> EVSConfig | None:
    """How a request or a video asks to be pruned; None if it does not say.

    Raises:
        ConfigError: both are given, or one is none of its kind.
    """
    if evs is not None and evs_rate is not None:
        raise ConfigError("Give evs or evs_rate, not both; an EVSConfig has a rate.")
    if evs_rate is not None:
        return EVSConfig(rate=evs_rate)
    if evs is not None and not isinstance(evs, EVSConfig):
        raise ConfigError(
            f"evs is a {type(evs).__name__}; give latentvlm.EVSConfig(...), or evs_rate=0.75."
        )
    return evs


def frame_times(frame_indices: Sequence[int], fps: float) -> tuple[float, ...]:
    """Seconds of frames of a video of `fps` frames a second, in whole milliseconds a frame.

    So the released models were trained: 30 frames a second are 33 ms each.
    """
    milliseconds = int(1000 / fps)
    return tuple(idx * milliseconds / 1000 for idx in frame_indices)


def tubelet_labels(timestamps: Sequence[float], frames_per_tubelet: int) -> list[str]:
    """What is written before each tubelet; frames are counted from 1.

    A frame that is repeated to fill the last tubelet is not named.
    """
    labels = []
    for begin in range(0, len(timestamps), frames_per_tubelet):
        named = [
            f"frame {begin + offset + 1} sampled at {seconds:.2f} seconds"
            for offset, seconds in enumerate(timestamps[begin : begin + frames_per_tubelet])
        ]
        label = " and ".join(named) + ": "
        labels.append(("\n" if labels else "") + "F" + label[1:])
    return labels


def _times(part: Mapping[str, Any], num_frames: int, where: str) -> tuple[float, ...]:
    if (given := part.get("timestamps")) is not None:
        times = _numbers(given)
        rises = all(a <= b for a, b in zip(times, times[1:], strict=False))
        if not all(each >= 0 for each in times) or not rises:
            raise PromptError(
                f"{where} holds a video whose timestamps are not seconds from 0 that never fall."
            )
        return tuple(times)
    fps = part.get("fps")
    if fps is None:
        raise PromptError(
            f"{where} holds a video without times: give timestamps in seconds, one a frame, or fps."
        )
    if not _is_number(fps) or not 0 < fps <= 1000:
        raise PromptError(f"{where} holds a video of {fps!r} frames a second, which cannot be.")
    indices = part.get("frame_indices")
    if indices is None:
        return frame_times(range(num_frames), fps)
    numbers = _numbers(indices)
    falls = any(a > b for a, b in zip(numbers, numbers[1:], strict=False))
    if falls or not all(each >= 0 and each.is_integer() for each in numbers):
        raise PromptError(
            f"{where} holds a video whose frame_indices are not whole numbers from 0 that never "
            "fall."
        )
    return frame_times([int(each) for each in numbers], fps)


def _numbers(values: Any) -> list[float]:
    """A list of numbers; what is none becomes NaN."""
    try:
        values = list(values)
    except TypeError:
        return [math.nan]
    return [float(each) if _is_number(each) else math.nan for each in values]


def _is_number(value: Any) -> bool:
    try:
        return not isinstance(value, str | bool) and math.isfinite(float(value))
    except (TypeError, ValueError):
        return False
