"""What the generator of videos makes: frames, their times, what is seen, and questions."""

from dataclasses import dataclass, field

import numpy as np

from ..document import QA


@dataclass(frozen=True, kw_only=True)
class DrawnVideo:
    """A drawn video.

    Attributes:
        frames: uint8 `(frames, height, width, 3)`, RGB.
        timestamps: seconds, one a frame, in whole milliseconds.
        lines: every text that is shown at some time, in order of appearance.
        qas: questions and answers; a moment is answered as the label of its frame says it, "3.50".
        template: the kind of video.
        font: the name of its font; "" if it shows no text.
        char_codes, char_centers: of the first frame, as in `Document`.
        meta: what else is known, for reports: frames a second, events with their times.
    """

    frames: np.ndarray
    timestamps: tuple[float, ...]
    lines: tuple[str, ...]
    qas: tuple[QA, ...]
    template: str
    font: str
    char_codes: np.ndarray
    char_centers: np.ndarray
    meta: dict[str, object] = field(default_factory=dict)
