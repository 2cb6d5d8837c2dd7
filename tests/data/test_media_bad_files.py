"""Files that cannot be read: one clear sentence each, and never half a picture."""

import io
import os
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from latentvlm.data.media import MediaLimits, open_media
from latentvlm.errors import ConfigError, InputError, MediaError


def encode(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(width: int = 90, height: int = 70) -> Image.Image:
    generator = np.random.default_rng(0)
    return Image.fromarray(generator.integers(0, 256, (height, width, 3), dtype=np.uint8))


def refusal(source, **options) -> str:
    """The message: exactly one sentence, from the exception tree."""
    with pytest.raises(MediaError) as caught:
        open_media(source, **options)
    assert isinstance(caught.value, InputError)
    message = str(caught.value)
    assert message.endswith(".") and "\n" not in message
    assert len(re.findall(r"[.!?] [A-Z]", message)) == 0
    return message


def png_header(width: int, height: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    )


def test_missing_folder_empty_and_pipe(tmp_path):
    assert refusal(tmp_path / "no.png") == f"There is no file {tmp_path / 'no.png'}."
    assert "is a folder" in refusal(tmp_path)
    (tmp_path / "empty.pdf").write_bytes(b"")
    assert "empty.pdf is empty (0 bytes)" in refusal(tmp_path / "empty.pdf")
    assert refusal(b"").startswith("bytes is empty")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert "not a regular file" in refusal(tmp_path / "pipe")
    assert "a" in refusal("a\0b.png")
    assert "cannot be read" in refusal("x" * 5000)
    assert "download it" in refusal("https://example.org/invoice.png")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"Total: 12.50\nThank you.\n", "is a text file, not a picture"),
        ("Summe: 12,50 \u20ac\n".encode() * 2000, "is a text file"),
        (b"<?xml version='1.0'?><svg/>", "XML or SVG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "XML or SVG"),
        (b"PK\x03\x04rest", "a ZIP or Office file"),
        (b"\0\0\0\x20ftypheic", "a HEIC picture"),
        (b"\0\0\0\x20ftypisom", "a video"),
        (b"RIFF\x10\0\0\0AVI LIST", "a video"),
        (bytes(range(256)), "not in a known format"),
        (b"\0\0\0\0", "not in a known format"),
    ],
)
def test_content_decides_and_the_message_says_what_it_is(tmp_path, data, words):
    path = tmp_path / "invoice.png"
    path.write_bytes(data)
    message = refusal(path)
    assert words in message and "invoice.png" in message and "PDF" in message


ENCODINGS = [
    ("PNG", {}),
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("WEBP", {}),
    ("WEBP", {"lossless": True}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "jpeg"}),
    ("BMP", {}),
    ("GIF", {}),
]


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow remarks on the same damage
@pytest.mark.parametrize(("kind", "options"), ENCODINGS)
def test_a_cut_file_is_refused_or_whole(tmp_path, kind, options):
    data = encode(noise(), kind, **options)
    whole = open_media(data)[0].image.tobytes()
    path = tmp_path / "cut.jpg"
    lengths = {*range(16, 64), *(len(data) * i // 20 for i in range(1, 20)), len(data) - 20}
    for length in sorted(lengths):
        path.write_bytes(data[:length])
        assert "cut.jpg" in refusal(path), length
    for length in range(len(data) - 12, len(data)):  # only the end mark: whole, or refused
        try:
            assert open_media(data[:length])[0].image.tobytes() == whole
        except MediaError as error:
            assert "cut short" in str(error) or "damaged" in str(error)


@pytest.mark.parametrize(("kind", "options"), ENCODINGS[:3])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("lenient", [False, True])
def test_no_gray_half(monkeypatch, kind, options, padded, lenient):
    """Also when a download left zeros, and when the program made Pillow lenient."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    data = encode(noise(), kind, **options)
    half = data[: len(data) // 2]
    assert "so it cannot be shown whole" in refusal(half + bytes(len(half) * padded))
    assert lenient == ImageFile.LOAD_TRUNCATED_IMAGES
    assert open_media(data)[0].image.size == (90, 70)


def test_thumbnails_and_trailing_data_do_not_mislead_the_end_check():
    thumbnail = encode(noise(16, 16), "JPEG")
    exif = b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + thumbnail
    data = encode(noise(), "JPEG", exif=exif)
    assert open_media(data)[0].image.size == (90, 70)
    assert open_media(data + b"a video \xff\xda follows")[0].image.size == (90, 70)
    assert "cut short" in refusal(data[: len(data) // 2] + bytes(2000))


def test_damaged_inside():
    data = bytearray(encode(noise(), "PNG"))
    data[len(data) // 2] ^= 0xFF
    assert "damaged" in refusal(bytes(data))
    assert "header" in refusal(b"BM" + b"this is a text that begins like a bitmap")


def bomb_files() -> dict[str, bytes]:
    """Headers that claim 30,000 x 30,000; none holds the pixels."""
    small = {kind: encode(noise(16, 16), kind) for kind in ("JPEG", "BMP", "GIF", "WEBP")}
    jpeg = bytearray(small["JPEG"])
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 30_000, 30_000)
    bmp = bytearray(small["BMP"])
    bmp[18:26] = struct.pack("<ii", 30_000, 30_000)
    gif = bytearray(small["GIF"])
    gif[6:10] = struct.pack("<HH", 30_000, 30_000)
    entries = [(256, 30_000), (257, 30_000), (258, 1), (259, 1), (262, 1), (273, 8), (278, 30_000)]
    entries += [(279, 112_500_000)]
    tiff = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries))
    tiff += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries) + bytes(4)
    return {
        "PNG": png_header(30_000, 30_000) + b"\0\0\0\x08IDAT" + bytes(12),
        "JPEG": bytes(jpeg),
        "BMP": bytes(bmp),
        "GIF": bytes(gif),
        "TIFF": tiff,
    }


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "TIFF"])
def test_decompression_bomb_is_refused_by_its_header(monkeypatch, tmp_path, kind):
    def no_decoding(self):
        raise AssertionError("the pixels were asked for")

    monkeypatch.setattr(ImageFile.ImageFile, "load", no_decoding)
    limit, path = Image.MAX_IMAGE_PIXELS, tmp_path / "bomb.png"
    path.write_bytes(bomb_files()[kind])
    message = refusal(path)
    assert "bomb.png is 30000 x 30000 pixels, more than the 80,000,000" in message
    assert "MediaLimits.max_pixels" in message
    assert limit == Image.MAX_IMAGE_PIXELS


def test_a_real_bomb_of_a_few_kilobytes():
    raw = zlib.compressobj(9)
    row, packed = bytes(1 + 30_000 // 8), b""
    packed = b"".join(raw.compress(row) for _ in range(30_000)) + raw.flush()
    body = b"IDAT" + packed
    data = png_header(30_000, 30_000) + struct.pack(">I", len(packed)) + body
    data += struct.pack(">I", zlib.crc32(body)) + b"\0\0\0\0IEND\xae\x42\x60\x82"
    assert len(data) < 200_000
    assert "30000 x 30000" in refusal(data)
    assert "30000 x 30000" in refusal(data, limits=MediaLimits(max_pixels=899_999_999))


def test_the_limit_is_a_value_of_the_call_not_of_the_process(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # Pillow's own does not interfere
    data = encode(noise(), "PNG")
    assert open_media(data)[0].image.size == (90, 70)
    for source in (data, noise(), encode(noise(), "TIFF")):
        assert "90 x 70" in refusal(source, limits=MediaLimits(max_pixels=6_299))


def test_limits_on_bytes_pages_and_all_pixels(tmp_path):
    path = tmp_path / "fax.tif"
    path.write_bytes(encode(noise(), "TIFF", save_all=True, append_images=[noise()] * 4))
    assert "max_bytes" in refusal(path, limits=MediaLimits(max_bytes=1000))
    assert "max_bytes" in refusal(path.read_bytes(), limits=MediaLimits(max_bytes=1000))
    message = refusal(path, limits=MediaLimits(max_pages=4))
    assert message.startswith("5 pages of") and "pages=" in message
    assert len(open_media(path, pages="2-5", limits=MediaLimits(max_pages=4))) == 4
    assert "together" in refusal(path, limits=MediaLimits(max_total_pixels=20_000))
    with pytest.raises(ConfigError, match="MediaLimits.max_pages"):
        MediaLimits(max_pages=0)


def test_a_damaged_page_is_named(tmp_path):
    path = tmp_path / "fax.tif"
    data = encode(noise(), "TIFF", save_all=True, append_images=[noise()], compression="packbits")
    with Image.open(io.BytesIO(data)) as image:
        image.seek(1)
        entry = data.index(struct.pack("<HHII", 273, 4, 1, image.tag_v2[273][0]))
    broken = bytearray(data)
    broken[entry + 8 : entry + 12] = struct.pack("<I", len(data) + 10)
    path.write_bytes(broken)
    assert f"page 2 of {path}" in refusal(path)
    assert len(open_media(path, pages=[1])) == 1


def test_unreadable_and_lazy_pil_image(tmp_path):
    path = tmp_path / "cut.png"
    data = encode(noise(), "PNG")
    path.write_bytes(data[: len(data) // 2])
    with Image.open(path) as image:
        assert "cut.png is damaged or cut short" in refusal(image)
    assert "nothing to see" in refusal(Image.new("RGB", (0, 5)))


@pytest.mark.parametrize("dpi", [0, -72, float("nan"), float("inf"), "150"])
def test_dpi_must_be_positive(dpi):
    with pytest.raises(ConfigError, match="dpi"):
        open_media(noise(), dpi=dpi)


def test_home_folder_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.png").write_bytes(encode(noise(), "PNG"))
    assert open_media("~/a.png")[0].source == "~/a.png"
    assert open_media(Path("~/a.png"))[0].image.size == (90, 70)
