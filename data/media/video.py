"""`read_video`: one door for every kind of video."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from ...errors import MediaError
from ..video import frame_times
from .animation import Animation, num_pictures
from .clip import DEFAULT_VIDEO_LIMITS, Clip, VideoLimits
from .formats import HEAD_BYTES, is_video, sniff_format
from .frame_source import FrameNeeds, clip_of
from .open import check_file, read_file
from .picture_list import PictureList, open_folder
from .types import DEFAULT_LIMITS
from .video_file import VideoFile

VideoSource: TypeAlias = str | Path | bytes | Sequence[Any]


def read_video(
    source: VideoSource,
    *,
    needs: FrameNeeds | None = None,
    fps: float | None = None,
    timestamps: Sequence[float] | None = None,
    limits: VideoLimits = DEFAULT_VIDEO_LIMITS,
) -> Clip:
    """Reads chosen frames of a video. Safe to call from several threads.

    Args:
        source: a path or the bytes of a video file (whatever FFmpeg knows that lies in one file),
            of an animated GIF, WebP or PNG; a folder of pictures; or a list of pictures.
        needs: which frames, and how large; None is all of them as they are.
        fps, timestamps: when the pictures of a folder or list were taken; a file has its own times.
        limits: what the call may cost.

    Raises:
        MediaError: it is no video, holds none that can be decoded, or passes a limit.
        InputError: not one frame fits the token budget.
    """
    needs = needs or FrameNeeds()
    if isinstance(source, bytes | bytearray | memoryview):
        return _read_bytes(bytes(source), "bytes", needs, limits)
    if isinstance(source, str | Path):
        path = Path(source).expanduser()
        if path.is_dir():
            return clip_of(open_folder(path, fps=fps, timestamps=timestamps), needs, limits)
        if fps is not None or timestamps is not None:
            raise MediaError(
                f"{source} has its own times; which of its frames are seen is said by frames=..."
            )
        check_file(source)
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        if not is_video(head):
            return _read_bytes(read_file(source, DEFAULT_LIMITS), str(source), needs, limits)
        return clip_of(VideoFile(str(path), name=str(source), limits=limits), needs, limits)
    if not isinstance(source, Sequence) or not source:
        raise MediaError(
            f"A {type(source).__name__} is not a video; give a path, bytes, or a list of pictures."
        )
    times = frame_times(range(len(source)), fps or 1.0) if timestamps is None else timestamps
    return clip_of(PictureList(source, times, name="the frames given"), needs, limits)


def moves(source: Any) -> bool:
    """Whether something a user hands over is a video or an animation, and no single picture.

    What cannot be opened is not; opening it says why.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        data = bytes(source)
        return is_video(data[:HEAD_BYTES]) or _is_animation(data)
    if not isinstance(source, str | Path):
        return False
    path = Path(source).expanduser()
    try:
        if path.is_dir():
            return True
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        if is_video(head):
            return True
        could_be = head[:6] in (b"GIF87a", b"GIF89a") or head[:4] in (b"RIFF", b"\x89PNG")
        if not could_be or path.stat().st_size > DEFAULT_LIMITS.max_bytes:
            return False
        return _is_animation(path.read_bytes())
    except (OSError, ValueError):
        return False


def _is_animation(data: bytes) -> bool:
    try:
        return num_pictures(data, sniff_format(data, name="bytes"), name="bytes") > 1
    except MediaError:
        return False


def _read_bytes(data: bytes, name: str, needs: FrameNeeds, limits: VideoLimits) -> Clip:
    if not data:
        raise MediaError(f"{name} is empty (0 bytes), so there is nothing to see.")
    if not is_video(data[:HEAD_BYTES]):
        kind = sniff_format(data, name=name)
        if num_pictures(data, kind, name=name) == 1:
            raise MediaError(
                f"{name} is a {kind} of one picture and no video; give it as an image."
            )
        return clip_of(Animation(data, kind, name=name, limits=limits), needs, limits)
    # The decoding process opens files.
    with tempfile.TemporaryDirectory(prefix="latentvlm-") as folder:
        path = Path(folder) / "video"
        path.write_bytes(data)
        return clip_of(VideoFile(str(path), name=name, limits=limits), needs, limits)
