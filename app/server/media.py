"""Media of a request: data URLs, files of allowed folders, addresses if these are allowed."""

import base64
import binascii
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from ...data.media import open_media
from ...data.media.page_range import PageChoice
from ...data.media.types import MediaLimits
from ...data.media.video import moves
from .config import ServerConfig
from .errors import RequestError
from .fetch import fetch


def media_parts(
    source: str, config: ServerConfig, *, pages: PageChoice, dpi: float | None, sees_videos: bool
) -> list[dict[str, Any]]:
    """Message parts for one medium: a picture each page, or a video.

    Raises:
        RequestError: it may not be read, or is too large.
        MediaError: it cannot be read.
    """
    data = read_source(source, config)
    if len(data) > config.max_file_bytes:
        raise RequestError(
            f"A file has {len(data):,} bytes; at most {config.max_file_bytes:,} are taken.", 413
        )
    if (
        data
        and moves(data)
        and (sees_videos or not data.startswith((b"GIF8", b"RIFF", b"\x89PNG")))
    ):
        return [{"type": "video", "video": data}]
    limits = MediaLimits(
        max_bytes=config.max_file_bytes,
        max_pixels=config.max_pixels,
        max_total_pixels=5 * config.max_pixels,
        max_pages=config.max_pages,
    )
    opened = open_media(data, pages=pages, dpi=dpi, limits=limits)
    return [{"type": "image", "image": page.image} for page in opened]


def read_source(source: str, config: ServerConfig) -> bytes:
    """The bytes that a data URL, a file: address or an http(s) address stands for."""
    if source.startswith("data:"):
        return _read_data(source)
    scheme = urlsplit(source).scheme.lower() if "://" in source[:10] else "file"
    if scheme in ("http", "https"):
        if not config.allow_urls:
            raise RequestError("This server fetches no addresses; send the file as a data URL.")
        return fetch(source, max_bytes=config.max_file_bytes)
    if scheme != "file":
        raise RequestError("A medium is a data URL, or a file: or http(s) address.")
    return _read_file(source, config)


def _read_data(source: str) -> bytes:
    head, comma, body = source.partition(",")
    if not comma:
        raise RequestError("A data URL has no comma, so it holds no data.")
    if not head.lower().endswith(";base64"):
        return unquote_to_bytes(body)
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError(f"A data URL is not base64: {error}.") from error


def _read_file(source: str, config: ServerConfig) -> bytes:
    path = unquote(urlsplit(source).path) if source.startswith("file://") else source
    refusal = RequestError("The file is in none of the folders that this server may read.", 403)
    try:
        real = Path(path).resolve(strict=True)
        allowed = any(real.is_relative_to(folder.resolve()) for folder in config.folders)
        if not allowed or not real.is_file():
            raise refusal
        if real.stat().st_size > config.max_file_bytes:
            raise RequestError(f"The file has more than {config.max_file_bytes:,} bytes.", 413)
        return real.read_bytes()
    except (OSError, ValueError) as error:  # a missing file is not told from a forbidden one
        raise refusal from error
