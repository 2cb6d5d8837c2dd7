"""PDF pages: chosen, drawn at a dpi, within limits; and every PDF that cannot be."""

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from support.pdf_files import build_pdf, locked_pdf, page_pdf

from latentvlm.data.media import MediaLimits, open_media
from latentvlm.errors import MediaError

RED = (255, 0, 0)


def pillow_pdf(*colours: str) -> bytes:
    buffer = io.BytesIO()
    pages = [Image.new("RGB", (100, 50), colour) for colour in colours]
    pages[0].save(buffer, "PDF", save_all=True, append_images=pages[1:], resolution=72)
    return buffer.getvalue()


def refusal(data, **options) -> str:
    with pytest.raises(MediaError) as caught:
        open_media(data, **options)
    assert str(caught.value).endswith(".")
    return str(caught.value)


def test_each_page_is_a_picture(tmp_path):
    path = tmp_path / "letter.txt"  # content decides, not the name
    path.write_bytes(pillow_pdf("red", "lime", "blue"))
    pages = open_media(path)
    assert [(page.number, page.of, page.source) for page in pages] == [
        (number, 3, str(path)) for number in (1, 2, 3)
    ]
    for page, colour in zip(pages, [RED, (0, 255, 0), (0, 0, 255)], strict=True):
        # Pillow writes the page as a JPEG.
        assert np.abs(np.subtract(page.image.getpixel((60, 30)), colour)).max() <= 3
    assert {page.image.mode for page in pages} == {"RGB"}
    chosen = open_media(path, pages="3,1")
    assert [page.number for page in chosen] == [3, 1]
    assert chosen[0].image.tobytes() == pages[2].image.tobytes()
    assert f"no page 4 in {path}, which has 3 pages" in refusal(path, pages="2-4")
    assert "write for example" in refusal(path, pages="first")


def test_dpi():
    data = page_pdf((72, 36))
    assert open_media(data)[0].image.size == (96, 48)
    assert open_media(data, dpi=72)[0].image.size == (72, 36)
    assert open_media(data, dpi=300)[0].image.size == (300, 150)
    assert open_media(data, dpi=1)[0].image.size == (1, 1)
    assert open_media(page_pdf((72, 0.1)), dpi=72)[0].image.size == (72, 1)


def test_drawn_upright_on_white_in_the_right_colours():
    corner = b"1 0 0 rg 0 0 10 10 re f"  # red, bottom left
    image = open_media(page_pdf((72, 72), content=corner), dpi=72)[0].image
    assert image.getpixel((5, 66)) == RED and image.getpixel((40, 40)) == (255, 255, 255)
    turned = open_media(page_pdf((72, 72), content=corner, page=b"/Rotate 90"), dpi=72)[0].image
    assert turned.getpixel((5, 5)) == RED and turned.getpixel((5, 66)) == (255, 255, 255)


def test_what_was_filled_into_a_form_is_drawn():
    stamp = b"1 0 0 rg 0 0 40 20 re f"
    data = build_pdf(
        [
            b"<</Type /Catalog /Pages 2 0 R /AcroForm <</Fields [4 0 R]>> >>",
            b"<</Type /Pages /Kids [3 0 R] /Count 1>>",
            b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 72 72] /Annots [4 0 R]>>",
            b"<</Type /Annot /Subtype /Widget /FT /Tx /T (total) /V (12) /F 4 /Rect [10 30 50 50] "
            b"/AP <</N 5 0 R>> >>",
            b"<</Type /XObject /Subtype /Form /BBox [0 0 40 20] /Length %d>>\nstream\n%s\nendstream"
            % (len(stamp), stamp),
        ]
    )
    pixels = np.asarray(open_media(data, dpi=72)[0].image, dtype=int)
    box = pixels[24:40, 12:48]
    assert (box[..., 0] - box[..., 1] > 100).mean() > 0.9  # red, perhaps tinted as a field


def test_a_huge_page_is_drawn_within_the_limit():
    data = page_pdf((14_400, 14_400))
    limits = MediaLimits(max_pixels=1_000_000)
    image = open_media(data, limits=limits)[0].image
    assert 980_000 < image.width * image.height <= 1_000_000
    message = refusal(data, limits=limits, dpi=96)
    assert "page 1 of bytes at 96 dpi is 19200 x 19200 pixels" in message
    thin = open_media(page_pdf((14_400, 3)), dpi=None, limits=MediaLimits(max_pixels=5_000))
    assert thin[0].image.width * thin[0].image.height <= 5_000


def test_limits_over_all_pages():
    data = page_pdf(*[(72, 72)] * 5)
    assert refusal(data, limits=MediaLimits(max_pages=4)).startswith("5 pages of bytes")
    assert "together" in refusal(data, limits=MediaLimits(max_total_pixels=40_000))
    assert len(open_media(data, pages="2-5", limits=MediaLimits(max_pages=4))) == 4


def test_password(tmp_path):
    path = tmp_path / "statement.pdf"
    path.write_bytes(locked_pdf(b"secret"))
    assert "statement.pdf is locked by a password" in refusal(path)
    # One that opens without asking (only printing and the like is restricted) is drawn.
    assert open_media(locked_pdf(b""), dpi=72)[0].image.size == (72, 72)


def test_no_pages(tmp_path):
    path = tmp_path / "none.pdf"
    path.write_bytes(page_pdf())
    assert "none.pdf is a PDF with 0 pages" in refusal(path)


@pytest.mark.parametrize(
    "data", [b"%PDF-1.7\n", b"%PDF-1.7\nnot a document at all\n%%EOF", pillow_pdf("red")[:200]]
)
def test_corrupt(tmp_path, data):
    path = tmp_path / "broken.pdf"
    path.write_bytes(data)
    assert "broken.pdf is a damaged PDF" in refusal(path)


def test_a_page_that_cannot_be_loaded_is_named():
    data = build_pdf(
        [
            b"<</Type /Catalog /Pages 2 0 R>>",
            b"<</Type /Pages /Kids [3 0 R 9 0 R] /Count 2>>",
            b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 72 72]>>",
        ]
    )
    assert open_media(data, pages="1")[0].image.size == (96, 96)
    assert "page 2 of bytes is damaged" in refusal(data)


def test_many_threads_at_once():
    data = pillow_pdf("red", "lime", "blue")
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: [p.image.tobytes() for p in open_media(data)], range(24)))
    assert all(result == results[0] for result in results)
