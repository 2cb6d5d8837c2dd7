"""What the generator makes: a picture, its text, its characters, its questions."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class QA:
    """One question about a document, with the answer as printed.

    Attributes:
        kind: one of `questions.KINDS`.
        question: the question.
        answer: the answer.
        slot: the printed value asked for, where it is one that `redraw` can replace; else "".
    """

    kind: str
    question: str
    answer: str
    slot: str = ""


@dataclass(frozen=True, kw_only=True)
class Document:
    """A drawn document.

    Attributes:
        image: uint8 `(height, width, 3)`, RGB.
        lines: the text of each printed line, top to bottom; cells of a row joined by one space.
        char_codes: int32 `(n,)`, the code point of each character drawn, spaces left out.
        char_centers: float32 `(n, 2)`, `(x, y)` in pixels; y is the middle of the x-height of
            the line, the same for all characters of a line that is not rotated.
        char_boxes: float32 `(n, 4)`, `(left, top, right, bottom)` of the ink, in pixels.
        qas: questions and answers; empty for levels that have none.
        template: the name of the layout that was drawn.
        font: the name of the main font.
        meta: what else is known, for reports: values by field, size of type, noise applied.
    """

    image: np.ndarray
    lines: tuple[str, ...]
    char_codes: np.ndarray
    char_centers: np.ndarray
    char_boxes: np.ndarray
    qas: tuple[QA, ...]
    template: str
    font: str
    meta: dict[str, object] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The whole text, one printed line a line."""
        return "\n".join(self.lines)
