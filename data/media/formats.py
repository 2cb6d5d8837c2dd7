"""What a file is, by its first bytes; its name decides nothing."""

from ...errors import MediaError

_PICTURES = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"BM", "BMP"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
)

# Common things people hand over that are not read; naming them saves a guess.
_FOREIGN = (
    (0, b"PK\x03\x04", "a ZIP or Office file"),
    (0, b"\xd0\xcf\x11\xe0", "an old Office file"),
    (0, b"%!PS", "a PostScript file"),
    (0, b"\x00\x00\x01\x00", "an icon"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (0, b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (4, b"ftyphei", "a HEIC picture"),
    (4, b"ftypmif", "a HEIC picture"),
    (4, b"ftypavif", "an AVIF picture"),
    (8, b"WAVE", "a sound"),
    (0, b"ID3", "a sound"),
)

# Containers of videos, after all of the above: `ftyp` begins HEIC pictures too.
_VIDEOS = (
    *((4, box) for box in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")),
    (0, b"\x1aE\xdf\xa3"),  # Matroska, WebM
    (0, b"FLV\x01"),
    (0, b"OggS"),
    (0, b"0&\xb2u\x8ef\xcf\x11"),  # ASF, WMV
    (0, b"\x00\x00\x01\xba"),  # MPEG program stream
    (0, b"\x00\x00\x01\xb3"),  # MPEG-1 and -2 video
    (0, b"\x00\x00\x00\x01"),  # H.264 and HEVC without a container
    (0, b"\x00\x00\x01"),
    (0, b"YUV4MPEG2"),
    (0, b"DKIF"),  # IVF
)

HEAD_BYTES = 4096
_ACCEPTED = "PNG, JPEG, WebP, TIFF, BMP, GIF and PDF are read"


def is_video(head: bytes) -> bool:
    """Whether the first `HEAD_BYTES` of a file are those of a video."""
    if any(head.startswith(magic, offset) for offset, magic, _ in _FOREIGN):
        return False
    if head[:1] == b"G" and len(head) > 188 and head[188:189] == b"G":  # MPEG transport stream
        return not head.startswith(b"GIF8")
    if head[8:12] == b"AVI ":
        return head[:4] == b"RIFF"
    return any(head.startswith(magic, offset) for offset, magic in _VIDEOS)


def sniff_format(data: bytes, *, name: str) -> str:
    """One of "PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PDF".

    Raises:
        MediaError: the bytes are none of these; it says what they look like.
    """
    for magic, kind in _PICTURES:
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    # Readers accept junk before a PDF header (ISO 32000-1, annex H.3).
    if b"%PDF-" in data[:1024]:
        return "PDF"
    for offset, magic, what in _FOREIGN:
        if data.startswith(magic, offset):
            raise MediaError(f"{name} is {what}, which is not read; {_ACCEPTED}.")
    head = data[:HEAD_BYTES]
    if is_video(head):
        raise MediaError(
            f"{name} is a video; give it as {{'type': 'video', 'video': ...}}; of pictures and "
            f"documents, {_ACCEPTED}."
        )
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<svg", b"<?xml")):
        raise MediaError(f"{name} is XML or SVG text, not a picture; {_ACCEPTED}.")
    if _is_text(head):
        raise MediaError(f"{name} is a text file, not a picture, by what it holds; {_ACCEPTED}.")
    raise MediaError(f"{name} is not in a known format; {_ACCEPTED}.")


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # a character cut at the end of the sample is no matter
            return False
        text = head[: error.start].decode("utf-8")
    return all(char.isprintable() or char in "\t\r\n\f\v" for char in text)
