"""The sample invoice of the repository: `python -m latentvlm.data.synthetic.sample [FOLDER]`.

Writes `invoice.png` and `invoice.pdf`, the same pixels at 96 dots per inch. Words, values and
layout are held out of training; the font is a common one.
"""

import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from .config import GeneratorConfig
from .document import Document
from .generate import generate

SAMPLE_FOLDER = Path(__file__).resolve().parent.parent / "samples"
_SEED = 20035
_CONFIG = GeneratorConfig(
    level="small",
    split="heldout",
    templates=("invoice_justified",),
    fonts=("arimo",),
    font_sizes=(15, 15),
    widths=(256, 256),
)
QUESTION = "What is the total?"
_DPI = 96


def sample_document() -> Document:
    """The invoice as a document, with its questions."""
    return generate(_SEED, _CONFIG)


def pdf_bytes(image: np.ndarray, dpi: int = _DPI) -> bytes:
    """A PDF of one page that shows uint8 `(h, w, 3)` pixels, compressed without loss.

    (Pillow's own PDF writer stores colour pictures as JPEG, which blurs small type.)
    """
    height, width = image.shape[:2]
    page_width, page_height = width * 72 / dpi, height * 72 / dpi
    pixels = zlib.compress(np.ascontiguousarray(image).tobytes(), 9)
    drawing = f"q {page_width:g} 0 0 {page_height:g} 0 0 cm /Im0 Do Q".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {page_width:g} {page_height:g}] "
        "/Resources << /XObject << /Im0 5 0 R >> >> /Contents 4 0 R >>".encode(),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawing), drawing),
        b"<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceRGB "
        b"/BitsPerComponent 8 /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream"
        % (width, height, len(pixels), pixels),
    ]
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table_at = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for offset in offsets:
        out += b"%010d 00000 n \n" % offset
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        len(objects) + 1, table_at,
    )  # fmt: skip
    return bytes(out)


def write_sample(folder: Path) -> tuple[Path, Path]:
    """Writes the PNG and the PDF into `folder`, made if missing; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    document = sample_document()
    picture, page = folder / "invoice.png", folder / "invoice.pdf"
    Image.fromarray(document.image).save(picture, dpi=(_DPI, _DPI), optimize=True)
    page.write_bytes(pdf_bytes(document.image))
    return picture, page


def main(argv: list[str] | None = None) -> int:
    """Writes the sample to the folder named, or to `data/samples`."""
    arguments = sys.argv[1:] if argv is None else argv
    for path in write_sample(Path(arguments[0]) if arguments else SAMPLE_FOLDER):
        print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
