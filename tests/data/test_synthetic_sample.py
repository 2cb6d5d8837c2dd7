"""The sample invoice: what the repository ships is what the generator draws."""

import numpy as np
import pypdfium2
from PIL import Image

from latentvlm.data.synthetic.sample import SAMPLE_FOLDER, main, sample_document


def test_the_committed_sample_is_the_one_drawn(tmp_path):
    document = sample_document()
    assert len(document.lines) >= 4 and document.template == "invoice_justified"
    with Image.open(SAMPLE_FOLDER / "invoice.png") as picture:
        assert np.array_equal(np.asarray(picture), document.image)
    assert main([str(tmp_path)]) == 0
    with Image.open(tmp_path / "invoice.png") as picture:
        assert np.array_equal(np.asarray(picture), document.image)


def test_the_pdf_shows_the_same_pixels_at_96_dots_per_inch():
    with pypdfium2.PdfDocument(SAMPLE_FOLDER / "invoice.pdf") as pdf:
        assert len(pdf) == 1
        page = pdf[0].render(scale=96 / 72).to_numpy()[:, :, ::-1]
    assert np.abs(page.astype(int) - sample_document().image).max() <= 1
