"""Video files made by PyAV whose every frame shows its own number, as eight black or white bars."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

BITS = 8


def numbered(number: int, size: tuple[int, int] = (64, 96)) -> np.ndarray:
    """uint8 (height, width, 3): bar k is white if bit k of the number is set."""
    height, width = size
    frame = np.zeros((height, width, 3), np.uint8)
    for bit in range(BITS):
        if number >> bit & 1:
            frame[:, bit * width // BITS : (bit + 1) * width // BITS] = 255
    return frame


def number_of(frame: np.ndarray) -> int:
    """The number that a frame shows, however it was scaled."""
    row = frame[frame.shape[0] // 2, :, 0]
    middles = [(2 * bit + 1) * len(row) // (2 * BITS) for bit in range(BITS)]
    return sum(int(row[x] > 128) << bit for bit, x in enumerate(middles))


def write_clip(
    path: Path,
    frames: int | Sequence[np.ndarray] = 60,
    *,
    fps: int = 30,
    size: tuple[int, int] = (64, 96),
    codec: str = "libx264",
    times_ms: Sequence[int] | None = None,
    gop: int = 12,
    options: dict[str, str] | None = None,
    container: str | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Writes a video: so many numbered frames, or frames given."""
    pictures = [numbered(n, size) for n in range(frames)] if isinstance(frames, int) else frames
    height, width = pictures[0].shape[:2] if len(pictures) else size
    with av.open(str(path), "w", format=container, options=container_options or {}) as output:
        stream: Any = output.add_stream(codec, rate=fps, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.gop_size = gop
        stream.codec_context.thread_count = 1
        if times_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        output.start_encoding()
        for idx, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts = idx if times_ms is None else times_ms[idx]
            if times_ms is not None:
                frame.time_base = Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


def write_sound(path: Path) -> Path:
    """Half a second of silence, without any picture."""
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        frame.sample_rate = 16000
        output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


def turn(path: Path, quarter_turns: int) -> Path:
    """Says in an MP4 that its frames must be turned clockwise when they are shown."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4
    at += 40 if data[at] == 0 else 52  # ISO 14496-12: version 1 has longer times
    one = 1 << 16
    a, b, c, d = [(one, 0, 0, one), (0, one, -one, 0), (-one, 0, 0, -one), (0, -one, one, 0)][
        quarter_turns % 4
    ]
    struct.pack_into(">9i", data, at, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path
