"""What a model was trained for; `limit_warnings.py` says what of a question lies beyond it.

The limits are `latentvlm.json` in the model's folder, written by whoever trained it. Other
readers of the folder never see it, and a folder without it gets no warning of this kind.
"""

import dataclasses
import json
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from .citations import Citations

LIMITS_FILE = "latentvlm.json"


@dataclass(frozen=True, kw_only=True)
class ModelLimits:
    """The ranges of the training data; None where nothing is known.

    Attributes:
        trained_max_visual_tokens: of all pages of one prompt together.
        trained_max_pages: pages of one prompt.
        trained_min_type_px: height of the smallest type, in pixels of the resized page.
        trained_characters: every character a question could hold.
        low_confidence: answers below this `Answer.confidence` are more often wrong than right.
        languages: of the training text, as ISO 639 codes.
        citations: how the page that an answer was read from is told.
        calibration: of held-out answers from a confidence on, up to the next, the share that was
            right; rising.
    """

    trained_max_visual_tokens: int | None = None
    trained_max_pages: int | None = None
    trained_min_type_px: float | None = None
    trained_characters: str | None = None
    low_confidence: float | None = None
    languages: tuple[str, ...] = ()
    citations: Citations | None = None
    calibration: tuple[tuple[float, float], ...] = ()

    def calibrated(self, confidence: float) -> float:
        """How often answers of such a confidence were right; the confidence itself if unknown."""
        shares = [share for least, share in self.calibration if confidence >= least]
        return shares[-1] if shares else (0.0 if self.calibration else confidence)

    @classmethod
    def read(cls, folder: str | Path) -> "ModelLimits":
        """The limits of a model folder; empty if it has none.

        Raises:
            CheckpointError: the file is unreadable, or has an unknown key or a wrong value.
        """
        path = Path(folder) / LIMITS_FILE
        if not path.is_file():
            return cls()
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path} cannot be read as JSON: {error}.") from error
        if not isinstance(values, dict):
            raise CheckpointError(f"{path} holds no JSON object.")
        known = [each.name for each in dataclasses.fields(cls)]
        for key, value in values.items():
            if key not in known:
                near = get_close_matches(key, known, n=1) or [", ".join(known)]
                raise CheckpointError(f"{path} has the unknown key {key!r}; known is {near[0]}.")
            if not _is_right(key, value):
                raise CheckpointError(f"{path} has {value!r} for {key}, which cannot be.")
        if "languages" in values:
            values["languages"] = tuple(values["languages"])
        if "calibration" in values:
            values["calibration"] = tuple((least, share) for least, share in values["calibration"])
        if "citations" in values:
            heads = tuple((layer, head) for layer, head in values["citations"]["heads"])
            values["citations"] = Citations(heads=heads, threshold=values["citations"]["threshold"])
        return cls(**values)

    def write(self, folder: str | Path) -> None:
        """Writes what is known into a model folder."""
        values = {k: v for k, v in dataclasses.asdict(self).items() if v not in (None, ())}
        text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
        (Path(folder) / LIMITS_FILE).write_text(text, encoding="utf-8")

    @classmethod
    def change(cls, folder: str | Path, **changes: Any) -> None:
        """Writes some values into a model folder; the others stay as they stand there now.

        Raises:
            CheckpointError: as in `read`.
        """
        dataclasses.replace(cls.read(folder), **changes).write(folder)


def _is_right(key: str, value: Any) -> bool:
    if key == "trained_characters":
        return isinstance(value, str)
    if key == "languages":
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    if key == "calibration":
        return isinstance(value, list) and all(
            isinstance(each, list)
            and len(each) == 2
            and all(isinstance(n, int | float) and 0 <= n <= 1 for n in each)
            for each in value
        )
    if key == "citations":
        return (
            isinstance(value, dict)
            and value.keys() == {"heads", "threshold"}
            and isinstance(value["threshold"], int | float)
            and isinstance(value["heads"], list)
            and all(isinstance(each, list) and len(each) == 2 for each in value["heads"])
            and all(type(n) is int and n >= 0 for each in value["heads"] for n in each)
        )
    kinds = int if key in ("trained_max_visual_tokens", "trained_max_pages") else (int, float)
    return isinstance(value, kinds) and not isinstance(value, bool) and value >= 0
