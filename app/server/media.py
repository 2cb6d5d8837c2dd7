"""Media of a request: data URLs, files of allowed folders, addresses if these are allowed."""

import base64
import binascii
from dataclasses import replace
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

_PIXELS_TOGETHER = 5  # times those of one page


class MediaOpener:
    """Opens the media of one request, which share its limits.

    Args:
        pages, dpi: which pages of documents, and how fine.
        sees_videos: whether the model does; to another one an animation is its first picture.
    """

    def __init__(
        self, config: ServerConfig, *, pages: PageChoice, dpi: float | None, sees_videos: bool
    ) -> None:
        self._config, self._pages, self._dpi = config, pages, dpi
        self._sees_videos = sees_videos
        self._num_bytes = self._num_pages = self._num_pixels = self._num_files = 0

    def parts(self, source: str, name: str | None = None) -> list[dict[str, Any]]:
        """Message parts for one medium: a picture each page, or a video.

        Args:
            name: what warnings and cited pages call it; None is its place in the request.

        Raises:
            RequestError: it may not be read, or it is too large, alone or with those before it.
            MediaError: it cannot be read.
        """
        config = self._config
        data = read_source(source, config)
        self._num_files += 1
        name = name or f"file {self._num_files}"
        if len(data) > config.max_file_bytes:
            raise RequestError(
                f"A file has {len(data):,} bytes; at most {config.max_file_bytes:,} are taken.", 413
            )
        self._num_bytes += len(data)
        if self._num_bytes > config.max_body_bytes:
            raise RequestError(
                f"The files have more than {config.max_body_bytes:,} bytes together.", 413
            )
        is_picture = data.startswith((b"GIF8", b"RIFF", b"\x89PNG"))
        if data and (self._sees_videos or not is_picture) and moves(data):
            return [{"type": "video", "video": data}]
        limits = MediaLimits(
            max_bytes=config.max_file_bytes,
            max_pixels=config.max_pixels,
            max_total_pixels=_PIXELS_TOGETHER * config.max_pixels,
            max_pages=config.max_pages,
        )
        opened = open_media(data, pages=self._pages, dpi=self._dpi, limits=limits)
        self._num_pages += len(opened)
        self._num_pixels += sum(page.image.width * page.image.height for page in opened)
        if self._num_pages > config.max_pages:
            raise RequestError(
                f"The request has more than {config.max_pages} pages; say which with pages."
            )
        if self._num_pixels > limits.max_total_pixels:
            raise RequestError(
                f"The pages have more than {limits.max_total_pixels:,} pixels together; send fewer."
            )
        return [{"type": "image", "image": replace(page, source=name)} for page in opened]


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
