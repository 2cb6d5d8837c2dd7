"""The process that decodes: reads requests from standard input, writes frames to standard output.

A message is two lengths (4 bytes each, big-endian), a JSON header and a payload. Requests:

    {"op": "open", "path": ..., "max_pixels": ..., "max_bytes": ...}
                                                        -> what the file is, times as float64
    {"op": "read", "indices": ..., "size": ..., "by": "pyav" | "decord"}
                                                        -> frames, then what was done

Between them come messages {"alive": true}: a decoder that sends none is stuck.
"""

import json
import os
import signal
import struct
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np
from av.error import FFmpegError
from PIL import Image

from . import complaints
from .container import is_plain_text, open_container
from .index import FrameIndex, UnreadableError, build_index
from .readers import (
    DECORD_CODECS,
    EXACT_FORMATS,
    OUT_OF_MEMORY,
    AvReader,
    DecordReader,
    video_stream,
)

_HEARTBEAT_S = 0.5
_READERS = {"pyav": AvReader, "decord": DecordReader}


class Worker:
    """Answers requests about one file at a time."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._last_sent = 0.0
        self._path = ""
        self._index: FrameIndex | None = None
        self._turn = 0
        self._size = (0, 0)

    def serve(self, requests: BinaryIO) -> None:
        """Until the input ends."""
        self._send({"hello": True})
        while (request := read_message(requests)) is not None:
            header, _ = request
            try:
                if header["op"] == "open":
                    _limit_memory(header["max_bytes"])
                    self._open(header["path"], header["max_pixels"])
                else:
                    self._read(header["indices"], header["size"], header["by"])
            except UnreadableError as error:
                self._send({"error": str(error)})
            except (FFmpegError, MemoryError) as error:
                self._send({"error": _reason(error)})

    def _open(self, path: str, max_pixels: int) -> None:
        complaints.forget()
        with open_container(path) as container:
            stream = video_stream(container)
            codec = stream.codec_context
            width, height = codec.width, codec.height
            if width < 1 or height < 1:
                raise UnreadableError("holds no frame, so there is nothing to see")
            if width * height > max_pixels:
                raise UnreadableError(
                    f"has frames of {width} x {height} pixels, more than the {max_pixels:,} "
                    "accepted; make it smaller or raise VideoLimits.max_frame_pixels "
                    "(--video-limit max-frame-pixels=...)"
                )
            formats = container.format.name.split(",")
            index = build_index(container, stream, alive=self._alive)
            ratio = float(stream.sample_aspect_ratio or 1) or 1.0
            name = codec.name
            is_exact = any(each in EXACT_FORMATS for each in formats)
            notes = [*index.notes]
            if is_exact and not notes and complaints.heard():
                notes.append("parts of it are damaged, and frames may be missing")
        self._path, self._index = path, index
        self._turn = _turn_of(path, index)
        width = max(1, round(width * ratio))
        self._size = (width, height) if self._turn % 180 else (height, width)
        self._send(
            {
                "size": self._size,
                "rotation": self._turn,
                "codec": name,
                "index": index.how,
                "num_keys": len(index.keys),
                "notes": notes,
                "is_for_decord": index.pts is not None
                and not self._turn
                and not is_plain_text(path)
                and name in DECORD_CODECS
                and is_exact,
            },
            index.times.astype("<f8").tobytes(),
        )

    def _read(self, indices: Sequence[int], size: Sequence[int] | None, by: str) -> None:
        assert self._index is not None
        height, width = size or self._size
        threads = min(4, os.cpu_count() or 1)
        reader = _READERS[by](self._path, self._index, threads=threads, alive=self._alive)
        found = 0
        try:
            for idx, pixels in reader.read(sorted(set(indices))):
                upright = np.rot90(pixels, self._turn // 90)
                image = Image.fromarray(np.ascontiguousarray(upright))
                if image.size != (width, height):
                    image = image.resize((width, height), Image.Resampling.BICUBIC)
                found += 1
                self._send({"frame": idx, "shape": [height, width, 3]}, image.tobytes())
        finally:
            reader.close()
        self._send(
            {
                "found": found,
                "num_decoded": reader.num_decoded,
                "num_damaged": reader.num_damaged,
                "num_doubtful": reader.num_doubtful,
                "peak_bytes": _peak_bytes(),
            }
        )

    def _alive(self) -> None:
        if time.monotonic() - self._last_sent > _HEARTBEAT_S:
            self._send({"alive": True})

    def _send(self, header: Mapping[str, Any], payload: bytes = b"") -> None:
        write_message(self._output, header, payload)
        self._last_sent = time.monotonic()


def write_message(stream: BinaryIO, header: Mapping[str, Any], payload: bytes = b"") -> None:
    """One message, at once."""
    text = json.dumps(header).encode()
    stream.write(struct.pack(">II", len(text), len(payload)) + text)
    stream.write(payload)
    stream.flush()


def read_message(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """The next message; None at the end of the stream."""
    lengths = stream.read(8)
    if len(lengths) < 8:
        return None
    text_len, payload_len = struct.unpack(">II", lengths)
    text, payload = stream.read(text_len), stream.read(payload_len)
    if len(text) < text_len or len(payload) < payload_len:
        return None
    return json.loads(text), payload


def _turn_of(path: str, index: FrameIndex) -> int:
    """Degrees, counter-clockwise, by which stored frames must be turned to stand upright."""
    with open_container(path) as container:
        try:
            for frame in container.decode(video_stream(container)):
                return round(frame.rotation / 90) * 90 % 360
        except FFmpegError:
            return 0
    return 0


def _reason(error: FFmpegError | MemoryError) -> str:
    if isinstance(error, MemoryError) or error.errno in OUT_OF_MEMORY:
        return (
            "needs more memory than its decoder may have; raise VideoLimits.max_decoder_bytes "
            "(--video-limit max-decoder-bytes=...)"
        )
    return f"cannot be read as a video: {error.strerror}"


def _limit_memory(most: int) -> None:
    """Hold this process to so many bytes of its own; where the system can."""
    if sys.platform == "linux":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _peak_bytes() -> int:
    """The most memory this process ever held; 0 where the system (all but Linux) does not say."""
    try:
        # getrusage would count what the parent held when it started this process.
        with open("/proc/self/status", encoding="ascii") as status:
            lines = [line.split() for line in status if line.startswith("VmHWM:")]
    except OSError:
        return 0
    return int(lines[0][1]) * 1024 if lines else 0


def main() -> None:
    """Serve; whatever a decoder prints goes nowhere near the messages, its errors apart.

    Ctrl-C reaches every process of a terminal; when this one ends is its owner's to say.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    complaints.listen()
    if sys.platform == "win32":
        import msvcrt

        for stream in (sys.stdin, output):
            msvcrt.setmode(stream.fileno(), os.O_BINARY)
    Worker(output).serve(sys.stdin.buffer)
