"""When each frame of a video file is shown, from its container alone: nothing is decoded.

MP4 and AVI keep a table of their frames, which is taken where it is exact; other files are read
through once, packet by packet.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from av.error import FFmpegError


class UnreadableError(Exception):
    """A file that is no video, or whose frames cannot be listed; the words follow its name."""


@dataclass(frozen=True, kw_only=True)
class FrameIndex:
    """The frames of a stream, in the order in which they are shown.

    Attributes:
        pts: int64 `(frames,)`, rising; None where the file has no times, so that frames can
            only be counted.
        keys: int64, the pts of frames at which decoding can begin.
        times: float64 `(frames,)`, seconds from the first frame.
        how: "table" or "packets".
        notes: a sentence for each thing that was assumed.
    """

    pts: np.ndarray | None
    keys: np.ndarray
    times: np.ndarray
    how: str
    notes: tuple[str, ...] = ()


def build_index(container: Any, stream: Any, *, alive: Any) -> FrameIndex:
    """The index of a stream; the container stands anywhere afterwards.

    Args:
        container, stream: of PyAV.
        alive: called now and then, to say that this goes on.

    Raises:
        UnreadableError: the stream holds no frame.
    """
    found = _from_table(stream)
    return found or _from_packets(container, stream, alive)


def _from_table(stream: Any) -> FrameIndex | None:
    """From the container's own table, which gives decoding times; None where that may mislead."""
    entries = stream.index_entries
    if not stream.frames or len(entries) != stream.frames:
        return None
    shown = [(each.timestamp, each.is_keyframe) for each in entries if not each.is_discard]
    if len(shown) != len(entries):
        return None
    dts = np.array([time for time, _ in shown], dtype=np.int64)
    steps = np.diff(dts)
    if len(steps) and steps.min() < 1:
        return None
    # Where frames are reordered, equal steps alone say when each is shown.
    reorders = bool(stream.codec_context.has_b_frames)
    if reorders and len(steps) and steps.max() - steps.min() > 1:
        return None
    pts = dts - dts[0] + (stream.start_time or 0)
    keys = _from_the_first(pts, np.array([key for _, key in shown], dtype=bool))
    return FrameIndex(pts=pts, keys=keys, times=_seconds(pts, stream), how="table")


def _from_packets(container: Any, stream: Any, alive: Any) -> FrameIndex:
    pts: list[int | None] = []
    dts: list[int | None] = []
    keys: list[bool] = []
    notes: list[str] = []
    try:
        for packet in container.demux(stream):
            if not packet.size or packet.is_discard:
                continue
            pts.append(packet.pts)
            dts.append(packet.dts)
            keys.append(packet.is_keyframe)
            if len(pts) % 4096 == 0:
                alive()
    except FFmpegError:
        notes.append("its end is damaged")
    if not pts:
        raise UnreadableError("holds no frame, so there is nothing to see")
    numbers = _complete(pts)
    if numbers is None and not stream.codec_context.has_b_frames:
        numbers = _complete(dts)
    if numbers is None:
        return _counted(container, stream, len(pts), notes)
    known = np.unique(numbers)
    return FrameIndex(
        pts=known,
        keys=_from_the_first(numbers, np.array(keys, dtype=bool)),
        times=_seconds(known, stream),
        how="packets",
        notes=tuple(notes),
    )


def _counted(container: Any, stream: Any, num_frames: int, notes: list[str]) -> FrameIndex:
    rate = stream.guessed_rate or stream.average_rate or 25
    notes.append(f"it has no times, so it is taken to run at {float(rate):g} frames a second")
    return FrameIndex(
        pts=None,
        keys=np.zeros(0, dtype=np.int64),
        times=np.arange(num_frames) / float(rate),
        how="packets",
        notes=tuple(notes),
    )


def _from_the_first(pts: np.ndarray, is_key: np.ndarray) -> np.ndarray:
    """The pts of key frames; what comes before the first of them is decoded from the start."""
    return np.union1d(pts[is_key], pts.min())


def _complete(values: list[int | None]) -> np.ndarray | None:
    """Times of all packets; None if one is missing, or two are the same."""
    given = [each for each in values if each is not None]
    numbers = np.array(given, dtype=np.int64)
    if len(given) < len(values) or len(np.unique(numbers)) < 0.9 * len(numbers):
        return None
    return numbers


def _seconds(pts: np.ndarray, stream: Any) -> np.ndarray:
    return (pts - pts[0]) * float(stream.time_base)
