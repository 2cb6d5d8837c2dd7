"""`open_media`: one door for every kind of picture and document."""

import math
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image

from ...errors import ConfigError, MediaError
from .arrays import array_to_rgb, tensor_to_rgb
from .formats import sniff_format
from .images import decode, open_picture
from .page_range import PageChoice, choose_pages
from .pdf import open_pdf
from .types import DEFAULT_LIMITS, MediaLimits, Page

# A 10 to 12 point letter is then 13 to 16 pixels tall, as on a screen.
DEFAULT_DPI = 96.0

MediaSource: TypeAlias = str | Path | bytes | Image.Image | np.ndarray | torch.Tensor


def open_media(
    source: MediaSource,
    *,
    pages: PageChoice = None,
    dpi: float | None = None,
    limits: MediaLimits = DEFAULT_LIMITS,
    text_layer: bool = False,
) -> list[Page]:
    """Opens a picture or document as RGB pages. Safe to call from several threads.

    Args:
        source: a path, the bytes of a file, a PIL image, a numpy array (height, width[, 1, 3
            or 4]) or a torch tensor ([1, 3 or 4,] height, width). Files: PNG, JPEG, WebP, TIFF,
            BMP, GIF (an animation's first frame) and PDF, told apart by content, not by name.
        pages: for PDF and TIFF, such as "1-3,7" or [1, 2, 7]; all pages if None.
        dpi: at which a PDF is drawn; None for 96, less on a page larger than
            `limits.max_pixels`.
        limits: what the call may cost.
        text_layer: also read the text that a PDF carries beside what it looks like.

    Raises:
        MediaError: the source cannot be read or is not whole, a page is not there, or a limit
            is passed.
        ConfigError: `dpi` is not a positive number.
    """
    is_number = isinstance(dpi, int | float) and math.isfinite(dpi)
    if dpi is not None and not (is_number and dpi > 0):
        raise ConfigError(f"dpi is {dpi!r} but must be a positive number, such as 150.")
    if isinstance(source, str | Path):
        data, name = read_file(source, limits), str(source)
    elif isinstance(source, bytes | bytearray | memoryview):
        data, name = bytes(source), "bytes"
    else:
        image, name = _in_memory(source, limits)
        choose_pages(pages, 1, name=name, limits=limits)
        return [Page(image=image, source=name)]
    if not data:
        raise MediaError(f"{name} is empty (0 bytes), so there is nothing to see.")
    if len(data) > limits.max_bytes:
        raise _too_long(name, len(data), limits)

    kind = sniff_format(data, name=name)
    if kind == "PDF":
        return open_pdf(
            data,
            name=name,
            pages=pages,
            dpi=dpi,
            default_dpi=DEFAULT_DPI,
            limits=limits,
            text_layer=text_layer,
        )
    return open_picture(data, kind, name=name, pages=pages, limits=limits)


def _in_memory(source: object, limits: MediaLimits) -> tuple[Image.Image, str]:
    if isinstance(source, Image.Image):
        name = str(getattr(source, "filename", "") or "PIL image")
        return decode(source, name=name, limits=limits), name
    if isinstance(source, np.ndarray):
        return array_to_rgb(source, name="array", limits=limits), "array"
    if isinstance(source, torch.Tensor):
        return tensor_to_rgb(source, name="tensor", limits=limits), "tensor"
    raise MediaError(
        f"A {type(source).__name__} is not a picture; give a path, bytes, a PIL image, "
        "a numpy array or a torch tensor."
    )


def read_file(source: str | Path, limits: MediaLimits) -> bytes:
    """The bytes of a file.

    Raises:
        MediaError: as `check_file`, or it is too large.
    """
    path = check_file(source)
    try:
        size = path.stat().st_size
        if size > limits.max_bytes:
            raise _too_long(str(source), size, limits)
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(source, error) from error


def check_file(source: str | Path) -> Path:
    """The path of a file that can be opened without waiting.

    Raises:
        MediaError: it is an address or a folder, is not there, or is no regular file.
    """
    if isinstance(source, str) and source.startswith(("http://", "https://", "data:")):
        raise MediaError(f"{source[:80]} is an address, not a file; download it and give its path.")
    path = Path(source).expanduser()
    try:
        if not path.exists():
            raise MediaError(f"There is no file {source}.")
        if path.is_dir():
            raise MediaError(f"{source} is a folder; give a file inside it.")
        if not path.is_file():  # a pipe or a device could be read for ever
            raise MediaError(f"{source} is not a regular file, so it is not read.")
        return path
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        if isinstance(error, MediaError):
            raise
        raise _unreadable(source, error) from error


def _unreadable(source: str | Path, error: OSError | ValueError) -> MediaError:
    reason = getattr(error, "strerror", None) or str(error)
    return MediaError(f"{source!r} cannot be read: {reason}.")


def _too_long(name: str, size: int, limits: MediaLimits) -> MediaError:
    return MediaError(
        f"{name} has {size:,} bytes, more than the {limits.max_bytes:,} accepted; "
        f"make it smaller or raise MediaLimits.max_bytes (--media-limit max-bytes={size})."
    )
