"""What decoders complain of: FFmpeg's errors go to standard error, here a file of this process.

Much damage is covered up by a decoder and told nowhere else.
"""

import os
import tempfile

import av.logging

_STANDARD_ERROR = 2


def listen() -> None:
    """From now on standard error is a file, and PyAV's FFmpeg writes its errors there."""
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), _STANDARD_ERROR)
    av.logging.restore_default_callback()
    av.logging.set_libav_level(av.logging.ERROR)


def forget() -> None:
    """Nothing was said until now."""
    os.ftruncate(_STANDARD_ERROR, 0)


def heard() -> bool:
    """Whether there were complaints since `forget`."""
    return os.fstat(_STANDARD_ERROR).st_size > 0
