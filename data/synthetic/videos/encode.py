"""A drawn video as a file, for tests and demonstrations."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from .video import DrawnVideo


def write_mp4(video: DrawnVideo, path: str | Path, *, quality: int = 12) -> Path:
    """Writes the video as H.264, each frame at its own second.

    Args:
        quality: of x264, 0 without loss to 51; at 12 small type stays legible.
    """
    path = Path(path)
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("libx264", rate=30, options={"crf": str(quality)})
        height, width = video.frames.shape[1:3]
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.codec_context.thread_count = 1
        for seconds, pixels in zip(video.timestamps, video.frames, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = round(seconds * 1000), Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path
