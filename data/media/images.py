"""Picture files to upright RGB pages, through Pillow's decoders.

The decoder classes are called directly: `Image.open` compares the size with a process-wide
limit, and ours is a value of the call.
"""

import io
import struct
from collections.abc import Iterator

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from ...errors import MediaError
from .page_range import PageChoice, choose_pages
from .to_rgb import to_rgb
from .types import MediaLimits, Page, check_pixels, check_total, page_name

DECODERS: dict[str, type[ImageFile.ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
}

_SUBFILE_TYPE = 254  # TIFF 6.0: bit 0 a smaller version, bit 2 a mask of another picture


def open_picture(
    data: bytes, kind: str, *, name: str, pages: PageChoice, limits: MediaLimits
) -> list[Page]:
    """Decodes a picture file; an animation gives its first frame.

    Args:
        data: the whole file.
        kind: as `sniff_format` names it, not "PDF".
        name: what pages and errors call the file.
        pages: which pages of a multi-page TIFF; of others only page 1.
        limits: sizes that are accepted.

    Raises:
        MediaError: damaged, cut short, too large, or without the page asked for.
    """
    # Every way a decoder of foreign bytes fails becomes one sentence; Pillow raises OSError,
    # SyntaxError, ValueError, struct.error, EOFError, ... for the same kinds of damage.
    try:
        image = DECODERS[kind](io.BytesIO(data))
    except Exception as error:
        raise MediaError(f"The header of {name} ({kind}) is damaged: {_reason(error)}.") from error
    with image:
        if kind != "TIFF":
            choose_pages(pages, 1, name=name, limits=limits)
            check_pixels(*image.size, name=name, limits=limits)
            _refuse_cut(data, kind, name)
            return [Page(image=decode(image, name=name, limits=limits), source=name)]
        frames = _tiff_pages(image, name)
        numbers = choose_pages(pages, len(frames), name=name, limits=limits)
        return list(_decode_frames(image, frames, numbers, name=name, limits=limits))


def decode(image: Image.Image, *, name: str, limits: MediaLimits) -> Image.Image:
    """Size check, pixels, then RGB; a picture that is not whole is refused, never half shown.

    Raises:
        MediaError: too large, damaged or cut short.
    """
    check_pixels(*image.size, name=name, limits=limits)
    try:
        image.load()
    except Exception as error:
        raise MediaError(
            f"{name} is damaged or cut short, so it cannot be shown whole: {_reason(error)}."
        ) from error
    return to_rgb(image, name=name)


def _decode_frames(
    image: Image.Image, frames: list[int], numbers: list[int], *, name: str, limits: MediaLimits
) -> Iterator[Page]:
    total = 0
    for number in numbers:
        label = page_name(name, number if len(frames) > 1 else None)
        try:
            image.seek(frames[number - 1])
        except Exception as error:
            raise MediaError(f"{label} cannot be found: {_reason(error)}.") from error
        check_pixels(*image.size, name=label, limits=limits)
        total += image.width * image.height
        check_total(total, source=name, limits=limits)
        picture = decode(image, name=label, limits=limits)
        number_or_none = number if len(frames) > 1 else None
        yield Page(image=picture, source=name, number=number_or_none, of=len(frames))


def _tiff_pages(image: Image.Image, name: str) -> list[int]:
    """Frame indices that are pages: thumbnails, pyramid levels and masks are not."""
    frames = []
    try:
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            kind = getattr(image, "tag_v2", {}).get(_SUBFILE_TYPE, 0)
            if index == 0 or not (isinstance(kind, int) and kind & 0b101):
                frames.append(index)
    except Exception as error:
        raise MediaError(
            f"The list of pages of {name} is damaged after {len(frames)}: {_reason(error)}."
        ) from error
    return frames


def _refuse_cut(data: bytes, kind: str, name: str) -> None:
    # What a decoder lets pass: an interrupted download that is padded with zeros (libjpeg draws
    # them as gray), and anything cut once a program around us has set, for the whole process,
    # Pillow's LOAD_TRUNCATED_IMAGES. The end marks still tell.
    if (kind == "PNG" and b"IEND" not in data) or (kind == "JPEG" and not _jpeg_ends(data)):
        raise MediaError(f"{name} is cut short, so it cannot be shown whole.")


def _jpeg_ends(data: bytes) -> bool:
    """Whether an end mark follows the first scan; thumbnails before it have their own."""
    at = 2
    while data[at : at + 2] not in (b"", b"\xff\xda"):
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        # Fill bytes and padding between segments are passed one by one, as decoders do.
        is_segment = data[at] == 0xFF and data[at + 1 : at + 2] not in (b"", b"\xff") and length > 1
        at += 2 + length if is_segment else 1
    return data.find(b"\xff\xd9", at) >= 0


def _reason(error: Exception) -> str:
    if isinstance(error, struct.error | EOFError | IndexError | KeyError):
        return "something is missing"  # their own words are about our code
    text = str(error).strip().rstrip(".")
    return text.splitlines()[0] if text else type(error).__name__
