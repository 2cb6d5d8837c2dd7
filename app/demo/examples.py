"""Examples that work out of the box: a sample page, slips drawn by rule, and a small video."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ...data.synthetic import GeneratorConfig, draw_booklet
from ...data.synthetic.videos.encode import write_mp4
from ...data.synthetic.videos.generate import generate_video

SAMPLES = Path(__file__).parents[2] / "data" / "samples"
# As small as what the model in the package was trained on.
_SLIPS = GeneratorConfig(level="lines", font_sizes=(13, 16), widths=(224, 288))
_SLIPS_SEED, _PAGES = 8, 5
_FILM = GeneratorConfig(level="video", frames=(12, 12), templates=("slides",))
_FILM_SEED = 3


@dataclass(frozen=True, kw_only=True)
class Example:
    """A question that can be asked by a click; `title` says what it shows."""

    title: str
    question: str
    files: tuple[str, ...]
    needs_video: bool = False


def write_examples(folder: Path) -> list[Example]:
    """The examples, their files written below a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    booklet = draw_booklet(_SLIPS_SEED, _SLIPS, pages=_PAGES)
    slips = [Image.fromarray(page.image) for page in booklet.pages]
    document = folder / "slips.pdf"
    slips[0].save(document, save_all=True, append_images=slips[1:], resolution=96)
    film = generate_video(_FILM_SEED, _FILM)
    clip = write_mp4(film, folder / "slides.mp4")
    return [
        Example(
            title="A slip of paper",
            question="What is the total?",
            files=(str(shutil.copy(SAMPLES / "invoice.png", folder)),),
        ),
        Example(
            title=f"{_PAGES} pages, one answer",
            question="What is the total?",
            files=(str(document),),
        ),
        Example(
            title="A short video",
            question=film.qas[0].question,
            files=(str(clip),),
            needs_video=True,
        ),
    ]
