"""PDF pages to RGB, through pdfium; their text layer is read only if it is asked for."""

import math
import re
import threading
from contextlib import closing

import pypdfium2
from PIL import Image

from ...errors import MediaError
from .page_range import PageChoice, choose_pages
from .types import MediaLimits, Page, check_pixels, check_total, page_name

# pdfium keeps process-wide state and allows one call at a time, whatever the document.
_PDFIUM = threading.Lock()

# pdfium refuses a document without pages like a damaged one; this only words the refusal.
_EMPTY_PAGE_TREE = re.compile(
    rb"/Type\s*/Pages\b[^>]*/Count\s+0\b|/Count\s+0\b[^>]*/Type\s*/Pages\b"
)

_POINTS_PER_INCH = 72
_NO_FORM = 0


def open_pdf(
    data: bytes,
    *,
    name: str,
    pages: PageChoice,
    dpi: float | None,
    default_dpi: float,
    limits: MediaLimits,
    text_layer: bool = False,
) -> list[Page]:
    """Draws the chosen pages, filled-in form fields included.

    Args:
        data: the whole file.
        name: what pages and errors call the file.
        pages: which pages.
        dpi: dots per inch; None for `default_dpi`, less on a page so large that it would pass
            `limits.max_pixels`.
        default_dpi: see above.
        limits: sizes that are accepted.
        text_layer: also read what the file says is written on each page.

    Raises:
        MediaError: damaged, locked by a password, without pages, without the page asked for,
            or too large at the dpi asked for.
    """
    with _PDFIUM:
        document = _open(data, name)
    try:
        with _PDFIUM:
            num_pages = len(document)
        opened, total = [], 0
        for number in choose_pages(pages, num_pages, name=name, limits=limits):
            label = page_name(name, number)
            # The lock is taken page by page, so that a long document lets others through.
            with _PDFIUM:
                image = _render(document, number, label, dpi, default_dpi, limits)
                text = _text(document, number, label) if text_layer else None
            total += image.width * image.height
            check_total(total, source=name, limits=limits)
            opened.append(Page(image=image, source=name, number=number, of=num_pages, text=text))
        return opened
    finally:
        with _PDFIUM:
            document.close()


def _open(data: bytes, name: str) -> pypdfium2.PdfDocument:
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        # The error code is only set by some failures and else stays as another file left it.
        if "password" in str(error).lower() and b"/Encrypt" in data:
            raise MediaError(
                f"{name} is locked by a password; save a copy without one and open that."
            ) from error
        if _EMPTY_PAGE_TREE.search(data):
            raise MediaError(
                f"{name} is a PDF with 0 pages, so there is nothing to see."
            ) from error
        raise MediaError(f"{name} is a damaged PDF that cannot be opened.") from error
    if document.get_formtype() != _NO_FORM:
        document.init_forms()  # without it, what was filled in is not drawn
    return document


def _render(
    document: pypdfium2.PdfDocument,
    number: int,
    label: str,
    dpi: float | None,
    default_dpi: float,
    limits: MediaLimits,
) -> Image.Image:
    try:
        page = document[number - 1]
    except pypdfium2.PdfiumError as error:
        raise MediaError(f"{label} is damaged and cannot be drawn.") from error
    with closing(page):
        width, height = page.get_size()  # points
        if not (width > 0 and height > 0):
            raise MediaError(
                f"{label} is {width:g} x {height:g} points, so there is nothing to see."
            )
        scale = (dpi or default_dpi) / _POINTS_PER_INCH
        size = _pixels(width, height, scale)
        # Repeated, because rounding up keeps a very thin page at whole pixels.
        while dpi is None and size[0] * size[1] > limits.max_pixels:
            scale *= math.sqrt(limits.max_pixels / (size[0] * size[1])) * 0.999
            size = _pixels(width, height, scale)
        check_pixels(*size, name=f"{label} at {scale * _POINTS_PER_INCH:.0f} dpi", limits=limits)
        try:
            # pypdfium2 is not annotated; the type is guessed from its default, scale=1.
            bitmap = page.render(scale=scale, rev_byteorder=True)  # pyright: ignore
        except pypdfium2.PdfiumError as error:
            raise MediaError(f"{label} is damaged and cannot be drawn.") from error
        with closing(bitmap):
            # A copy: the picture may otherwise point into the bitmap that is freed here.
            image = bitmap.to_pil()
            return image.copy() if image.mode == "RGB" else image.convert("RGB")


def _text(document: pypdfium2.PdfDocument, number: int, label: str) -> str:
    """The text layer of a page, its lines without blanks at their ends; "" if there is none."""
    try:
        with closing(document[number - 1]) as page, closing(page.get_textpage()) as layer:
            text = layer.get_text_range()
    except pypdfium2.PdfiumError as error:
        raise MediaError(f"The text layer of {label} is damaged and cannot be read.") from error
    # pdfium ends lines with CR LF, and marks hyphens at their ends and letters it cannot name.
    text = re.sub("[\\x00-\\x08\\x0e-\\x1f\\ufffe\\uffff]", "", text.replace("\r\n", "\n"))
    return "\n".join(line.rstrip() for line in text.split("\n")).strip()


def _pixels(width: float, height: float, scale: float) -> tuple[int, int]:
    return math.ceil(width * scale), math.ceil(height * scale)
