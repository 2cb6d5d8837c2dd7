"""Chosen frames of a video file, one by one, by PyAV or by decord.

Both seek to the key frame before a wanted frame unless they are past it already, so a sparse
choice decodes little; and both hold one frame at a time.
"""

import errno
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from av.error import FFmpegError
from av.stream import Disposition

from . import complaints
from .container import open_container
from .index import FrameIndex, UnreadableError

Frames = Iterator[tuple[int, np.ndarray]]

# Opened at the start of what they list, so that FFmpeg has nothing to complain of but damage.
EXACT_FORMATS = ("mov", "mp4", "matroska", "webm", "avi")
# Of those, where decord (0.6.0) gives the frame that is asked for. In MPEG-TS and HEVC it gives one
# some way on, without a word.
DECORD_CODECS = ("h264", "vp8", "libvpx-vp8", "vp9", "libvpx-vp9", "mpeg4", "mjpeg")
# Without memory a decoder has no frame, or no thread.
OUT_OF_MEMORY = (errno.ENOMEM, errno.EAGAIN)
# Of 255: how far two decoders' roundings and colours may lie apart, over a frame.
_SAME_PICTURE = 6.0


class AvReader:
    """Frames by PyAV.

    Attributes:
        num_decoded: frames that came out of the decoder.
        num_damaged: packets that it could not decode.
        num_doubtful: wanted frames in which the decoder had to make something up: in themselves, or
            in what came before them since the last key frame, from which they are predicted.
    """

    def __init__(self, path: str, index: FrameIndex, *, threads: int, alive: Callable[[], None]):
        self._path, self._threads = path, threads
        self._index = index
        self._alive = alive
        self.num_decoded = self.num_damaged = self.num_doubtful = 0
        self._damaged_at: list[int] = []
        self._open()

    def _open(self) -> None:
        self._container: Any = open_container(self._path)
        self._stream = video_stream(self._container)
        self._stream.codec_context.thread_count = self._threads
        self._stream.thread_type = "AUTO"

    def close(self) -> None:
        """Let go of the file."""
        self._container.close()

    def read(self, wanted: Sequence[int]) -> Frames:
        """`(index, uint8 (h, w, 3))` for the rising indices that can be decoded, as stored."""
        if self._index.pts is None:
            yield from self._read_by_count(wanted)
            return
        pts, keys = self._index.pts, self._index.keys
        frames: Iterator[Any] = iter(())
        frame, position = None, None
        for idx in wanted:
            target = int(pts[idx])
            key = int(keys[max(0, np.searchsorted(keys, target, side="right") - 1)])
            if position is None or key > position:
                frames, frame = self._seek(target)
            while frame is not None and frame.pts < target:
                frame = next(frames, None)
            if frame is None:
                return  # the file ended early
            position = frame.pts
            # A frame that comes too late stands for another one: this one could not be decoded.
            if idx + 1 == len(pts) or frame.pts < pts[idx + 1]:
                self.num_doubtful += any(key <= at <= frame.pts for at in self._damaged_at)
                yield idx, frame.to_ndarray(format="rgb24")

    def _seek(self, target: int) -> tuple[Iterator[Any], Any]:
        """Decoding from a frame on that is not after the target, if any such can be decoded."""
        frames, frame = iter(()), None
        keys = self._index.keys
        at = int(np.searchsorted(keys, target, side="right"))
        # Some containers can only be sought roughly: then from a key frame before, or the start.
        for place in (target, *keys[max(0, at - 3) : at][::-1].tolist(), None):
            try:
                if place is None:
                    self._container.close()
                    self._open()
                else:
                    self._container.seek(place, stream=self._stream, backward=True)
            except FFmpegError:
                continue
            frames = self._decode()
            frame = next(frames, None)
            if frame is not None and frame.pts <= target:
                break
        return frames, frame

    def _read_by_count(self, wanted: Sequence[int]) -> Frames:
        left = list(wanted)
        for count, frame in enumerate(self._decode(needs_pts=False)):
            if not left:
                return
            if count == left[0]:
                self.num_doubtful += bool(self._damaged_at)
                yield left.pop(0), frame.to_ndarray(format="rgb24")

    def _decode(self, *, needs_pts: bool = True) -> Iterator[Any]:
        """Every frame from here on; what is damaged is passed over."""
        # An error may be told when as many packets more were taken as there are threads.
        recent: deque[int] = deque(maxlen=self._threads + 1)
        for packet in self._packets():
            recent.append(packet.pts if packet.pts is not None else packet.dts or 0)
            try:
                decoded = packet.decode()
            except FFmpegError as error:
                if error.errno in OUT_OF_MEMORY:
                    raise
                self.num_damaged += 1
                self._damaged_at += recent
                continue
            for frame in decoded:
                self.num_decoded += 1
                if self.num_decoded % 16 == 0:
                    self._alive()
                if frame.pts is None:
                    frame.pts = frame.dts
                if frame.is_corrupt:
                    self._damaged_at.append(frame.pts or 0)
                if frame.pts is not None or not needs_pts:
                    yield frame

    def _packets(self) -> Iterator[Any]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                yield next(packets)
            except StopIteration:
                return
            except FFmpegError as error:
                if error.errno in OUT_OF_MEMORY:
                    raise
                self.num_damaged += 1
                return


class DecordReader:
    """Frames by decord.

    Two of the wanted frames are decoded by PyAV too: in some files (open groups of pictures, edit
    lists) decord gives a frame some way on, without a word. Nor does it tell of damage, which it
    covers with the frame before; its FFmpeg only complains of it.

    Raises:
        UnreadableError: decord is not there, or it counts or times the frames of this file
            otherwise than its container does.
    """

    num_damaged = num_doubtful = 0

    def __init__(self, path: str, index: FrameIndex, *, threads: int, alive: Callable[[], None]):
        try:
            import decord
        except (ImportError, OSError) as error:
            raise UnreadableError("decord is not installed") from error
        decord.logging.set_level(decord.logging.ERROR)
        try:
            self._video = decord.VideoReader(path, num_threads=threads)
            num_frames = len(self._video)
            places = np.unique(np.linspace(0, len(index.times) - 1, 16, dtype=np.int64))
            times = self._video.get_frame_timestamp(places)[:, 0]
            self._keys = np.asarray(self._video.get_key_indices())
        except Exception as error:  # decord raises its own kinds, and RuntimeError
            raise UnreadableError("decord cannot open it") from error
        if num_frames != len(index.times) or np.abs(times - index.times[places]).max() > 2e-3:
            raise UnreadableError("decord counts or times its frames otherwise")
        self._alive = alive
        self._check = AvReader(path, index, threads=threads, alive=alive)
        self._num_decoded = 0

    @property
    def num_decoded(self) -> int:
        return self._num_decoded + self._check.num_decoded

    def close(self) -> None:
        """Let go of the file."""
        self._check.close()
        del self._video

    def read(self, wanted: Sequence[int]) -> Frames:
        """As `AvReader.read`.

        Raises:
            UnreadableError: a frame cannot be decoded, is damaged, or is not the one that PyAV
                finds there.
        """
        complaints.forget()
        checked = dict.fromkeys([wanted[len(wanted) // 2], wanted[-1]])
        given: dict[int, np.ndarray] = {}
        position = 0
        for idx in wanted:
            self._alive()
            pixels = self._frame(idx)
            key = int(self._keys[max(0, np.searchsorted(self._keys, idx, side="right") - 1)])
            self._num_decoded += idx + 1 - max(key, position)
            position = idx + 1
            if idx in checked:
                given[idx] = _sample(pixels)
            yield idx, pixels
        if complaints.heard():
            raise UnreadableError("decord met damage")
        for idx, pixels in self._check.read(list(checked)):
            ours, theirs = given[idx], _sample(pixels)
            if ours.shape != theirs.shape or np.abs(ours - theirs).mean() > _SAME_PICTURE:
                raise UnreadableError(f"decord gives another picture for frame {idx}")

    def _frame(self, idx: int) -> np.ndarray:
        try:
            return self._video[idx].asnumpy()
        except Exception as error:
            raise UnreadableError(f"decord cannot decode frame {idx}") from error


def _sample(pixels: np.ndarray) -> np.ndarray:
    """Some of the pixels of a frame, signed, to compare."""
    step = max(1, min(pixels.shape[:2]) // 128)
    return pixels[::step, ::step].astype(np.int16)


def video_stream(container: Any) -> Any:
    """The first stream that is a video and no cover picture.

    Raises:
        UnreadableError: there is none.
    """
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    if container.streams.audio:
        raise UnreadableError("holds sound but no video")
    raise UnreadableError("holds no video")
