"""Files that are written whole or not at all."""

import os
from pathlib import Path

from ..errors import DataError


def write_whole(path: Path, text: str) -> None:
    """Writes a file beside its place and moves it there; what was there stays if that fails.

    Raises:
        DataError: it cannot be written.
    """
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise DataError(f"{path} cannot be written: {error.strerror or error}.") from error
