"""Opening a video file so that nothing but that file is opened.

FFmpeg also reads playlists and descriptions of sessions (HLS, DASH, concat, SDP), which name other
files and addresses. They are none of the formats here, and no protocol is used but that of files.
"""

from typing import Any

import av
from av.error import ArgumentError

from .index import UnreadableError

# As FFmpeg names its demuxers: containers and bare streams, all of which lie in one file.
_FORMATS = ("mov", "matroska", "avi", "flv", "ogg", "asf", "mpeg", "mpegts", "mpegvideo", "m4v",
            "h264", "hevc", "vvc", "vc1", "cavsvideo", "dirac", "ivf", "obu",
            "yuv4mpegpipe")  # fmt: skip
_OPTIONS = {"format_whitelist": ",".join(_FORMATS), "protocol_whitelist": "file"}


def open_container(path: str) -> Any:
    """A container of PyAV.

    Args:
        path: absolute; a relative one may look like an address.

    Raises:
        UnreadableError: it is in none of the formats.
        FFmpegError: it cannot be read.
    """
    try:
        return av.open(path, options=dict(_OPTIONS))
    except ArgumentError as error:
        raise UnreadableError(
            "is in no format of videos that is read; a playlist is not followed"
        ) from error


def is_plain_text(path: str) -> bool:
    """Whether a reader that looks for words in the file's head could take it for a list of files.

    The head of every container that is meant for one begins with a byte that is no letter.
    """
    with open(path, "rb") as file:
        head = file.read(4)
    return not (head[:1] == b"\0" or head in (b"\x1aE\xdf\xa3", b"RIFF"))
