"""The settings of the generator."""

import random
from dataclasses import dataclass

from ...errors import ConfigError
from .fonts import HELDOUT_FONTS, TRAIN_FONTS, get_font
from .questions import KINDS, VIDEO_KINDS

LEVELS = ("glyphs", "line", "lines", "small", "page")
VIDEO_LEVEL = "video"
SPLITS = ("train", "heldout")


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """What to draw; with a seed it determines a document entirely.

    Attributes:
        level: "glyphs" (a square full of short runs, for warming the tower up), "line" (one
            line), "lines" (two or three), "small" (up to six), "page" (whole documents), "video"
            (frames; see `videos/generate.py` for what counts there).
        split: "train" or "heldout": chooses fonts, words, values, templates and phrasings.
        fonts: names of fonts to use; empty means all fonts of the split.
        font_sizes: smallest and largest size of type, in pixels per em.
        reshaped: share of runs (level "glyphs"), lines ("line") and documents (the others) whose
            letters are widened, narrowed, slanted, thinned or made bolder at random, so that a
            model meets more than the fonts at hand.
        scrambled: share of field values and of the words of level "line" whose letters and digits
            are drawn at random, so that a model must read what it could know by heart.
        noise: 0 draws crisp pages, 1 the worst scans.
        max_lines: the most lines of a document; 0 means the level's own limit.
        widths: narrowest and widest picture, in pixels; (0, 0) makes each as narrow as its text
            allows.
        glyph_sides: smallest and largest side of a picture of level "glyphs", in pixels; its
            width comes from `widths` if that is given.
        aligned_share: share of documents whose sides are multiples of `side_multiple`.
        side_multiple: pixels of one visual token (patch of 8, merged 2 x 2).
        max_questions: the most questions a document carries.
        more_lookups: tries at questions beyond those for what is looked up on a page: to a model in
            training a page is dear, and a further question about it is cheap.
        question_kinds: kinds of question to ask (`questions.KINDS`, of videos
            `VIDEO_KINDS` there); empty means all.
        templates: names of templates to use; empty means all of the split and level.
        frames: fewest and most frames of a video.
        frame_patches: patches of a frame that a model resizes frames to (its
            `video_target_num_patches`, of half a `side_multiple` each); frames are drawn in sizes
            that it takes as they are.
    """

    level: str = "line"
    split: str = "train"
    fonts: tuple[str, ...] = ()
    font_sizes: tuple[int, int] = (12, 20)
    reshaped: float = 0.0
    scrambled: float = 0.0
    noise: float = 0.0
    max_lines: int = 0
    widths: tuple[int, int] = (0, 0)
    glyph_sides: tuple[int, int] = (128, 256)
    aligned_share: float = 0.7
    side_multiple: int = 16
    max_questions: int = 6
    more_lookups: int = 0
    question_kinds: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    frames: tuple[int, int] = (8, 32)
    frame_patches: int = 512

    def __post_init__(self) -> None:
        levels = (*LEVELS, VIDEO_LEVEL)
        if self.level not in levels:
            raise ConfigError(f"level is {self.level!r}; it must be one of {', '.join(levels)}.")
        if self.split not in SPLITS:
            raise ConfigError(f"split is {self.split!r}; it must be one of {', '.join(SPLITS)}.")
        for name in self.fonts:
            get_font(name)
        kinds = VIDEO_KINDS if self.level == VIDEO_LEVEL else KINDS
        for kind in self.question_kinds:
            if kind not in kinds:
                raise ConfigError(f"question_kinds has {kind!r}; kinds are {', '.join(kinds)}.")
        low, high = self.font_sizes
        if not 6 <= low <= high <= 96:
            raise ConfigError(f"font_sizes is {self.font_sizes}; it must rise within 6 to 96.")
        if not 0.0 <= self.noise <= 1.0:
            raise ConfigError(f"noise is {self.noise}; it must be from 0 to 1.")
        for name in ("reshaped", "scrambled"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be from 0 to 1.")
        if not 0.0 <= self.aligned_share <= 1.0:
            raise ConfigError(f"aligned_share is {self.aligned_share}; it must be from 0 to 1.")
        low, high = self.widths
        if (low, high) != (0, 0) and not 128 <= low <= high <= 4096:
            raise ConfigError(f"widths is {self.widths}; it must rise within 128 to 4096, or be 0.")
        low, high = self.glyph_sides
        if not 32 <= low <= high <= 4096:
            raise ConfigError(f"glyph_sides is {self.glyph_sides}; it must rise within 32 to 4096.")
        low, high = self.frames
        if not 6 <= low <= high <= 512:
            raise ConfigError(f"frames is {self.frames}; it must rise within 6 to 512.")
        if not 16 <= self.frame_patches <= 4096:
            raise ConfigError(f"frame_patches is {self.frame_patches}; it must be 16 to 4096.")
        if self.side_multiple < 1:
            raise ConfigError(f"side_multiple is {self.side_multiple}; it must be at least 1.")
        if min(self.max_lines, self.more_lookups) < 0 or self.max_questions < 1:
            raise ConfigError(
                "max_lines and more_lookups must be at least 0 and max_questions at least 1."
            )

    def draw_width(self, rng: random.Random) -> int:
        """A width within `widths`, in whole `side_multiple`s; 0 if there are none."""
        low, high = self.widths
        if high == 0:
            return 0
        step = self.side_multiple
        return rng.randint(-(-low // step), max(high // step, -(-low // step))) * step

    @property
    def font_names(self) -> tuple[str, ...]:
        """The fonts in use."""
        return self.fonts or (TRAIN_FONTS if self.split == "train" else HELDOUT_FONTS)
