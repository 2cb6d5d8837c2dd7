"""Files that are cut, damaged, far too large inside, or something else than they say."""

import io
import random
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from .clips import write_clip, write_sound
from .pdf_files import build_pdf, locked_pdf, page_pdf

PICTURES = ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP")


def picture(kind: str, *, width: int = 60, height: int = 40) -> bytes:
    array = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind)
    return buffer.getvalue()


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Cut somewhere, or with a few bytes changed, or both."""
    found = bytearray(data)
    if rng.random() < 0.6:
        del found[rng.randrange(len(found)) :]
    for _ in range(rng.choice([0, 1, 4, 40])):
        if found:
            found[rng.randrange(len(found))] = rng.randrange(256)
    return bytes(found)


def bombs() -> dict[str, bytes]:
    """Small files that claim to hold, or hold, far more than is taken."""
    blank = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(blank, "PNG")
    zeros = zlib.compress(bytes(50_000_000), 9)
    stream = b"<</Length %d /Filter /FlateDecode>>\nstream\n%s\nendstream" % (len(zeros), zeros)
    boxes = b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 %g %g] /Contents 3 0 R>>"
    pages = b"<</Type /Pages /Kids [4 0 R] /Count 1>>"
    catalog = b"<</Type /Catalog /Pages 2 0 R>>"
    header = bytearray(picture("PNG"))
    header[16:24] = (2**31 - 1).to_bytes(4, "big") * 2
    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4, "big")
    return {
        "png of 400 million pixels": blank.getvalue(),
        "png header of 2^62 pixels": bytes(header),
        "gif canvas": b"GIF89a\xff\xff\xff\xff\x00\x00\x00" + picture("GIF")[13:],
        "pdf stream of 50 MB": build_pdf([catalog, pages, stream, boxes % (100, 100)]),
        "pdf page of a kilometre": page_pdf((3e6, 3e6)),
        "pdf of 3000 pages": page_pdf(*[(9, 9)] * 3000),
        "pdf whose pages hold themselves": build_pdf(
            [catalog, b"<</Type /Pages /Kids [2 0 R] /Count 99999>>"]
        ),
    }


def others(folder: Path) -> dict[str, bytes]:
    """Files of other kinds, and none at all."""
    playlist = b"#EXTM3U\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
    return {
        "empty": b"",
        "one byte": b"\0",
        "text": b"Total: 12.50",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "zip": b"PK\x03\x04" + bytes(60),
        "program": b"\x7fELF" + bytes(600),
        "pickle": b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.",
        "torch file": b"PK\x03\x04" + b"archive/data.pkl" + bytes(200),
        "playlist": playlist,
        "list of files": b"ffconcat version 1.0\nfile /etc/passwd\n",
        "locked pdf": locked_pdf(b"secret"),
        "pdf without pages": build_pdf([b"<</Type /Catalog>>"]),
        "sound": write_sound(folder / "sound.mp4").read_bytes(),
        "ftyp and nothing": b"\0\0\0\x20ftypisom" + bytes(60),
        "matroska and nothing": b"\x1aE\xdf\xa3" + bytes(600),
        "transport stream of nothing": (b"G" + bytes(187)) * 20,
    }


def whole(folder: Path) -> dict[str, bytes]:
    """Sound files, to be damaged."""
    clips = {"mp4": {}, "mkv": {}, "webm": {"codec": "libvpx-vp9"}, "avi": {"codec": "mpeg4"}}
    return {
        **{kind.lower(): picture(kind) for kind in PICTURES},
        "pdf": page_pdf((60, 36), (36, 60)),
        **{
            kind: write_clip(folder / f"a.{kind}", 12, **how).read_bytes()
            for kind, how in clips.items()
        },
    }


def broken_files(folder: Path, *, num_damaged: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """All of the above, and so many damaged ones."""
    yield from others(folder).items()
    yield from bombs().items()
    rng, sound = random.Random(seed), whole(folder)
    for number in range(num_damaged):
        kind = rng.choice(sorted(sound))
        yield f"damaged {kind} {number}", damaged(sound[kind], rng)
