"""What all kinds of video share: size, times, type, and the questions that may be asked."""

import random
from collections.abc import Sequence

import numpy as np

from ....errors import ConfigError
from ...video import frame_times
from ..canvas import Canvas, Colour
from ..config import GeneratorConfig
from ..document import QA
from ..glyphs import GlyphSet, glyph_set
from ..palette import ink, paper
from .phrases import kind_of, phrase
from .size import frame_sizes
from .video import DrawnVideo

MARGIN = 6
_FEWEST_ROWS = 3


class Film:
    """A video under construction.

    Attributes:
        rng: the random source of what is shown.
        height, width, num_frames, fps: of the video.
        leading: pixels from one line of text to the next.
    """

    def __init__(self, rng: random.Random, config: GeneratorConfig):
        self.rng, self.config = rng, config
        self.font = rng.choice(config.font_names)
        self.height, self.width, self.glyphs = _sheet(rng, config, self.font)
        low, high = config.frames
        self.num_frames = rng.randint(low, high)
        self.fps = rng.choice((1, 2, 2, 4))
        self.times = frame_times(range(self.num_frames), self.fps)
        self.paper, self.ink = paper(rng), ink(rng)
        self.leading = _leading(self.glyphs)
        self._frames: list[Canvas] = []
        self._asked: list[QA] = []
        self._lines: dict[str, None] = {}

    @property
    def split(self) -> str:
        return self.config.split

    @property
    def rows(self) -> int:
        """Lines of text that a frame has room for."""
        return _rows(self.height, self.glyphs)

    @property
    def room(self) -> int:
        """Width of a line of text, in pixels."""
        return self.width - 2 * MARGIN

    def blank(self) -> Canvas:
        """A frame with nothing on it; the next of the video."""
        canvas = Canvas(self.height, self.width, self.paper)
        self._frames.append(canvas)
        return canvas

    def write(
        self,
        canvas: Canvas,
        text: str,
        row: float = 0,
        x: int = MARGIN,
        colour: Colour | None = None,
    ) -> None:
        """Writes a line of text in a row of the frame; it must fit."""
        placed = self.glyphs.place(text)
        baseline = MARGIN + round(row * self.leading) + self.glyphs.ascent
        canvas.draw(placed, self.glyphs, x - min(0, placed.left), baseline, colour or self.ink)
        self._lines[text] = None

    def note(self, texts: Sequence[str]) -> None:
        """Texts that are shown although `write` did not draw them."""
        self._lines |= dict.fromkeys(texts)

    def fits(self, text: str, room: int | None = None) -> bool:
        """Whether a text has room on a line."""
        return self.glyphs.width(text) + 2 <= (self.room if room is None else room)

    def lengths(self, parts: int, least: int = 1) -> list[int]:
        """How many frames each of several parts of the video lasts, all of them together."""
        spare = self.num_frames - parts * least
        cuts = sorted(self.rng.randint(0, spare) for _ in range(parts - 1))
        bounds = [0, *cuts, spare]
        return [least + b - a for a, b in zip(bounds, bounds[1:], strict=False)]

    def second(self, frame: int) -> str:
        """A moment as the label of the frame says it."""
        return f"{self.times[frame]:.2f}"

    def ask(self, what: str, answer: str, **words: str) -> None:
        """A question that may be asked."""
        question = phrase(self.rng, what, self.split, **words)
        self._asked.append(QA(kind_of(what), question, answer))

    def finish(self, template: str, events: Sequence[tuple[str, float]] = ()) -> DrawnVideo:
        """The video, with as many of its questions as the configuration allows."""
        kinds = self.config.question_kinds
        asked = [qa for qa in self._asked if not kinds or qa.kind in kinds]
        self.rng.shuffle(asked)
        codes, centers, _ = self._frames[0].characters()
        has_text = bool(self._lines)
        return DrawnVideo(
            frames=np.stack([canvas.image for canvas in self._frames]),
            timestamps=self.times,
            lines=tuple(self._lines),
            qas=tuple(asked[: self.config.max_questions]),
            template=template,
            font=self.font if has_text else "",
            char_codes=codes,
            char_centers=centers,
            meta={"fps": self.fps, "size": self.glyphs.size, "events": [list(e) for e in events]},
        )


def _sheet(rng: random.Random, config: GeneratorConfig, font: str) -> tuple[int, int, GlyphSet]:
    """Height and width of a frame, and type of which three lines fit it.

    Raises:
        ConfigError: no type asked for is small enough.
    """
    low, high = config.font_sizes
    type_ = [glyph_set(font, size) for size in range(low, high + 1)]
    found = [
        (height, width, [glyphs for glyphs in type_ if _rows(height, glyphs) >= _FEWEST_ROWS])
        for height, width in frame_sizes(config)
    ]
    found = [each for each in found if each[2]]
    if not found:
        raise ConfigError(
            f"font_sizes is {config.font_sizes}, too large for {_FEWEST_ROWS} lines on a frame of "
            f"frame_patches {config.frame_patches}; choose smaller type or more patches."
        )
    height, width, fitting = rng.choice(found)
    return height, width, rng.choice(fitting)


def _leading(glyphs: GlyphSet) -> int:
    return glyphs.ascent + glyphs.descent + 2


def _rows(height: int, glyphs: GlyphSet) -> int:
    return (height - 2 * MARGIN) // _leading(glyphs)
