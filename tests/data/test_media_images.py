"""Picture files: every format and pixel kind comes out upright, 8-bit, RGB and right."""

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from latentvlm.data.media import Page, open_media
from latentvlm.errors import MediaError

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def corners() -> Image.Image:
    """40 wide, 24 high; red top left, green top right, blue bottom left, white bottom right."""
    image = Image.new("RGB", (40, 24), WHITE)
    image.paste(RED, (0, 0, 20, 12))
    image.paste(GREEN, (20, 0, 40, 12))
    image.paste(BLUE, (0, 12, 20, 24))
    return image


def encode(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def open_one(source, **options) -> Image.Image:
    (page,) = open_media(source, **options)
    assert page.image.mode == "RGB" and page.of == 1 and page.number is None
    return page.image


def assert_near(image: Image.Image, expected: Image.Image, tolerance: int = 0) -> None:
    assert image.size == expected.size
    difference = np.asarray(image, dtype=int) - np.asarray(expected.convert("RGB"), dtype=int)
    assert np.abs(difference).max() <= tolerance


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("JPEG", {"quality": 100, "subsampling": 0}, 3),
        ("JPEG", {"quality": 100, "subsampling": 0, "progressive": True}, 3),
        ("WEBP", {"lossless": True}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("TIFF", {"compression": "tiff_deflate"}, 0),
        ("TIFF", {"big_tiff": True}, 0),
        ("BMP", {}, 0),
        ("GIF", {}, 0),
    ],
)
def test_every_format_from_path_and_bytes(tmp_path, kind, options, tolerance):
    data = encode(corners(), kind, **options)
    path = tmp_path / "picture.dat"  # content decides, not the name
    path.write_bytes(data)
    for source in (path, str(path), data, bytearray(data), memoryview(data)):
        assert_near(open_one(source), corners(), tolerance)
    assert open_media(path)[0].source == str(path)
    assert open_media(data)[0].source == "bytes"


def test_lossy_webp():
    image = open_one(encode(corners(), "WEBP", quality=100))
    for place, colour in {(8, 6): RED, (32, 6): GREEN, (8, 18): BLUE, (32, 18): WHITE}.items():
        assert np.abs(np.subtract(image.getpixel(place), colour)).max() <= 4


def test_pil_image_is_copied_and_keeps_its_own_state():
    image = corners()
    page = open_media(image)[0]
    page.image.putpixel((0, 0), (1, 2, 3))
    assert image.getpixel((0, 0)) == RED
    assert page == Page(image=page.image, source="PIL image")


def test_first_frame_of_an_animation():
    frames = [Image.new("RGB", (8, 8), color) for color in (RED, BLUE)]
    for kind, options in (("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {})):
        data = encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert open_one(data).getpixel((3, 3)) == RED


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(kind, orientation):
    turns = [None, 0, 3, 1, 5, 2, 6, 4]  # Transpose values that undo what to_rgb must do
    undo = turns[orientation - 1]
    stored = corners() if undo is None else corners().transpose(Image.Transpose(undo))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    data = encode(stored, kind, exif=exif, **options)
    image = open_one(data)
    assert_near(image, corners(), 3)
    if kind != "TIFF":  # Pillow turns those itself while it loads
        assert_near(ImageOps.exif_transpose(Image.open(io.BytesIO(data))), corners(), 3)
    assert_near(open_one(Image.open(io.BytesIO(data))), corners(), 3)
    assert_near(open_one(image), corners(), 3)  # nothing is left that would turn it again


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's own, about the same EXIF
@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff"])
def test_damaged_exif_does_not_spoil_the_picture(exif):
    assert open_one(encode(corners(), "JPEG", exif=exif)).size == (40, 24)


def test_cmyk_tiff_and_adobe_inverted_cmyk_jpeg():
    cmyk = corners().convert("CMYK")
    assert_near(open_one(encode(cmyk, "TIFF")), corners())
    data = encode(cmyk, "JPEG", quality=100, subsampling=0)
    assert b"Adobe" in data  # so the file holds the values inverted
    assert_near(open_one(data), corners(), 3)


def test_palette_with_transparency_lies_on_white():
    image = Image.new("P", (4, 1))
    image.putpalette([*RED, *GREEN, *BLUE, 0, 0, 0])
    image.putdata([0, 1, 2, 3])
    by_index = open_one(encode(image, "PNG", transparency=3))
    assert [by_index.getpixel((x, 0)) for x in range(4)] == [RED, GREEN, BLUE, WHITE]
    by_alpha = open_one(encode(image, "PNG", transparency=bytes([255, 0, 255, 128])))
    assert [by_alpha.getpixel((x, 0)) for x in range(3)] == [RED, WHITE, BLUE]
    assert by_alpha.getpixel((3, 0)) == (127, 127, 127)
    assert open_one(encode(image, "GIF", transparency=3)).getpixel((3, 0)) == WHITE
    assert open_one(encode(image, "PNG")).getpixel((3, 0)) == (0, 0, 0)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_alpha_lies_on_white(kind):
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    image = Image.new("RGBA", (3, 1))
    image.putdata([(255, 0, 0, 255), (0, 0, 0, 0), (0, 0, 0, 128)])
    pixels = [open_one(encode(image, kind, **options)).getpixel((x, 0)) for x in range(3)]
    assert pixels == [RED, WHITE, (127, 127, 127)]


def test_gray_with_alpha_and_premultiplied_and_colour_key():
    gray = Image.new("LA", (2, 1))
    gray.putdata([(10, 255), (10, 0)])
    for image in (encode(gray, "PNG"), gray, gray.convert("La")):
        assert open_one(image).tobytes() == bytes([10, 10, 10, *WHITE])
    colour = corners()
    assert open_one(encode(colour, "PNG", transparency=RED)).getpixel((0, 0)) == WHITE
    assert (
        open_one(encode(colour.convert("L"), "PNG", transparency=255)).getpixel((39, 23)) == WHITE
    )


def gray_ramp(dtype: type) -> np.ndarray:
    return np.array([[0, 257, 128 * 257, 65535, 65406]], dtype=dtype)


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "I;16"), ("TIFF", "I;16"), ("TIFF", "I;16B")])
def test_16_bit_gray_is_scaled_not_cut(kind, mode):
    ramp = gray_ramp(np.uint16)
    stored = ramp.astype(">u2") if mode == "I;16B" else ramp
    image = Image.frombytes(mode, (5, 1), stored.tobytes())
    values = np.asarray(open_one(encode(image, kind)))[0, :, 0]
    assert values.tolist() == [0, 1, 128, 255, 254]


def test_16_bit_gray_with_colour_key_and_white_is_zero():
    image = Image.fromarray(gray_ramp(np.uint16))
    keyed = open_one(encode(image, "PNG", transparency=257))
    assert np.asarray(keyed)[0, :, 0].tolist() == [0, 255, 128, 255, 254]
    inverted = open_one(encode(image, "TIFF", tiffinfo={262: 0}))
    assert np.asarray(inverted)[0, :, 0].tolist() == [255, 254, 127, 0, 1]


def test_32_bit_gray_by_its_largest_value():
    def values(array: np.ndarray) -> list[int]:
        data = encode(Image.fromarray(array), "TIFF")
        return np.asarray(open_one(data))[0, :, 0].tolist()

    assert values(gray_ramp(np.int32)) == [0, 1, 128, 255, 254]
    assert values(np.array([[0, 7, 255]], dtype=np.int32)) == [0, 7, 255]
    assert values(np.array([[0, 0.5, 1]], dtype=np.float32)) == [0, 128, 255]
    assert values(np.array([[0, 64, 255]], dtype=np.float32)) == [0, 64, 255]
    assert values(gray_ramp(np.float32)) == [0, 1, 128, 255, 254]
    for wrong in ([[-1.0, 1.0]], [[0.0, 1e6]], [[0.0, np.nan]]):
        with pytest.raises(MediaError, match="gray values from"):
            values(np.array(wrong, dtype=np.float32))


def test_1_bit_and_lab():
    image = Image.new("1", (16, 2))
    image.putpixel((3, 1), 1)
    for kind in ("PNG", "TIFF", "BMP"):
        opened = open_one(encode(image, kind))
        assert opened.getpixel((3, 1)) == WHITE and opened.getpixel((4, 1)) == (0, 0, 0)
    assert open_one(encode(image, "TIFF", compression="group4")).getpixel((3, 1)) == WHITE
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    lab = ImageCms.applyTransform(corners(), to_lab)
    assert_near(open_one(encode(lab, "TIFF")), corners(), 24)  # LAB has 8 bits a channel


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (1, 1)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP"])
def test_thin_pictures_are_pictures(size, kind):
    assert open_one(encode(Image.new("RGB", size, RED), kind)).size == size


def test_pages_of_a_tiff_without_its_thumbnails(tmp_path):
    path = tmp_path / "fax.tif"
    pages = [Image.new("RGB", (8 + index, 8), (index, 0, 0)) for index in range(4)]
    pages[2].encoderinfo = {"tiffinfo": {254: 1}}  # a smaller version of page 2
    path.write_bytes(encode(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    opened = open_media(path)
    assert [(page.number, page.of, page.image.width) for page in opened] == [
        (1, 3, 8),
        (2, 3, 9),
        (3, 3, 11),
    ]
    assert [page.image.width for page in open_media(path, pages="3,1")] == [11, 8]
    assert opened[1].name == f"page 2 of {path}"
    with pytest.raises(MediaError, match="no page 4 in .*fax.tif, which has 3 pages"):
        open_media(path, pages=[4])


def test_page_choice_of_a_single_picture():
    data = encode(corners(), "PNG")
    assert open_one(data, pages="1").size == (40, 24)
    assert open_one(corners(), pages=[1]).size == (40, 24)
    for source in (data, corners()):
        with pytest.raises(MediaError, match="no page 2 in .*, which has 1 page"):
            open_media(source, pages="1-2")


def test_many_threads_at_once():
    files = [encode(corners(), kind) for kind in ("PNG", "TIFF", "BMP", "GIF")] * 8
    with ThreadPoolExecutor(8) as pool:
        for image in pool.map(open_one, files):
            assert_near(image, corners())
