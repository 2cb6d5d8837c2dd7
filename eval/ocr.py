"""Text of a page by Tesseract: lines of cells. For the rival only; the model never sees it."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from ..errors import BackendError, MissingDependencyError

# Chosen on 30 training documents of each level: at 12 to 20 px per em, 3 times the size reads best
# (2 and 4 times come close), page mode 6 (one block) beats 4, 7, 11 and 13, and the model of
# all Latin script beats the English one, which has fewer accents and currencies.
_SCALE, _MODE = 3, 6
_LANGUAGES = ("Latin", "script/Latin", "eng")
# Darker or lighter than the paper by this much is ink; more pixels of it in a row, or one above
# the other, are no type.
_INK, _RULE, _STROKE = 50, 30, 24
# A gap wider than this share of the line's height ends a cell.
_CELL_GAP = 0.75


@dataclass(frozen=True)
class Word:
    """A recognised word and its box, in pixels."""

    text: str
    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True)
class Line:
    """A recognised line: its words, grouped into cells where the gaps are wide."""

    cells: tuple[str, ...]

    @property
    def text(self) -> str:
        return " ".join(self.cells)


class Tesseract:
    """The `tesseract` program, set up for small crisp pages.

    Raises:
        MissingDependencyError: the program is not installed.
    """

    def __init__(self, program: str = "tesseract"):
        found = shutil.which(program)
        if found is None:
            raise MissingDependencyError(
                f"The rival needs the program {program!r}, which is not there; install it, on "
                "Debian with: apt-get install tesseract-ocr tesseract-ocr-script-latn"
            )
        self._program = found
        version = self._run("--version").split()[1]
        installed = self._run("--list-langs").split()
        self._language = next(name for name in _LANGUAGES if name in installed or name == "eng")
        self.name = f"Tesseract {version}, {self._language}, {_SCALE}x"

    def read(self, images: Sequence[np.ndarray]) -> list[list[Line]]:
        """The lines of each RGB page, top to bottom."""
        if not images:
            return []
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / f"{idx:04d}.png" for idx in range(len(images))]
            for path, image in zip(paths, images, strict=True):
                prepare(image).save(path)
            # One process for all pages: loading the language takes longer than reading a page.
            names = Path(folder) / "pages.txt"
            names.write_text("".join(f"{path}\n" for path in paths), encoding="utf-8")
            options = ("--psm", str(_MODE), "-l", self._language, "--dpi", "300", "tsv")
            pages = parse_tsv(self._run(str(names), "stdout", *options))
        return [pages.get(number, []) for number in range(1, len(images) + 1)]

    def _run(self, *arguments: str) -> str:
        # One thread: its own threads slow small pages down.
        done = subprocess.run(
            [self._program, *arguments],
            capture_output=True,
            check=False,
            env={**os.environ, "OMP_THREAD_LIMIT": "1"},
        )
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["nothing"]
            raise BackendError(f"{self._program} failed; the last it said was: {said[-1]}")
        return done.stdout.decode("utf-8", "replace")


def prepare(image: np.ndarray) -> Image.Image:
    """The page as Tesseract reads it best: grey, without rules, enlarged, with a border."""
    grey = np.asarray(Image.fromarray(image).convert("L"))
    paper = int(np.bincount(grey.ravel(), minlength=256).argmax())
    ink = np.abs(grey.astype(np.int16) - paper) > _INK
    rules = _long_runs(ink, _RULE) | _long_runs(ink.T, _STROKE).T
    page = Image.fromarray(np.where(rules, np.uint8(paper), grey))
    page = page.resize((page.width * _SCALE, page.height * _SCALE), Image.Resampling.LANCZOS)
    # Text that touches the edge is missed.
    return ImageOps.expand(page, 10 * _SCALE, fill=paper)


def _long_runs(mask: np.ndarray, length: int) -> np.ndarray:
    """Which pixels belong to a horizontal run of at least `length`: rules and bars, not type."""
    result = np.zeros_like(mask)
    height, width = mask.shape
    if height and width >= length:
        full = np.lib.stride_tricks.sliding_window_view(mask, length, axis=1).all(axis=2)
        for shift in range(length):
            result[:, shift : shift + width - length + 1] |= full
    return result


def parse_tsv(table: str) -> dict[int, list[Line]]:
    """Lines of each page, counted from 1, from Tesseract's TSV output.

    Its columns are level, page, block, paragraph, line, word, left, top, width, height, confidence
    and text; words have level 5.
    """
    rows: dict[tuple[str, ...], list[Word]] = {}
    for entry in table.splitlines():
        columns = entry.split("\t")
        if len(columns) < 12 or columns[0] != "5" or not columns[11].strip():
            continue
        left, top, width, height = map(int, columns[6:10])
        word = Word(columns[11].strip(), left, top, left + width, top + height)
        rows.setdefault(tuple(columns[1:5]), []).append(word)
    pages: dict[int, list[Line]] = {}
    for (number, *_), words in rows.items():
        pages.setdefault(int(number), []).append(Line(tuple(split_cells(words))))
    return pages


def split_cells(words: Iterable[Word]) -> list[str]:
    """The words of one line, joined where they stand close."""
    words = sorted(words, key=lambda word: word.left)
    heights = sorted(word.bottom - word.top for word in words)
    height = heights[len(heights) // 2]
    cells = [words[0].text]
    for before, word in zip(words, words[1:], strict=False):
        if word.left - before.right > _CELL_GAP * height:
            cells.append(word.text)
        else:
            cells[-1] += f" {word.text}"
    return cells
