"""What a model was trained for, and a sentence of warning for whatever lies beyond it.

The limits are `latentvlm.json` in the model's folder, written by whoever trained it. Other
readers of the folder never see it, and a folder without it gets no warning of this kind.
"""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..data.image_transform import ImageInfo
from ..data.media import DEFAULT_DPI, Page
from ..errors import CheckpointError
from .citations import Citations
from .photo import looks_like_photo
from .scripts import strange_scripts

LIMITS_FILE = "latentvlm.json"
# Ordinary text is taken to be 12 points high: 16 pixels at the 96 dpi of a screen.
_TYPE_POINTS = 12.0
_LARGER = "ask a larger checkpoint: latentvlm doctor names those that fit this machine"


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


def budget_warnings(pages: Sequence[Page], infos: Sequence[ImageInfo]) -> list[str]:
    """Pages that were made smaller to fit a budget or the context; one sentence for all."""
    reduced = [
        (page, info)
        for page, info in zip(pages, infos, strict=True)
        if info.visual_tokens < info.visual_tokens_before
    ]
    if not reduced:
        return []
    before, after = (
        sum(getattr(info, key) for _, info in reduced)
        for key in ("visual_tokens_before", "visual_tokens")
    )
    if len(reduced) == 1:
        return [
            f"{_capital(reduced[0][0].name)} was given {after} of {before} visual tokens to fit; "
            "ask about fewer pages, or raise token_budget."
        ]
    return [
        f"{len(reduced)} of {len(pages)} pages were given {after} of {before} visual tokens to "
        "fit; ask about fewer pages, or raise token_budget."
    ]


def page_warnings(
    limits: ModelLimits, pages: Sequence[Page], infos: Sequence[ImageInfo], *, dpi: float | None
) -> list[str]:
    """Pages that are too many, too large together, or too small in type.

    Args:
        pages, infos: the pages of one prompt and what became of each, in the same order.
        dpi: at which documents were drawn, if the caller said so.
    """
    found = []
    num_tokens, most = sum(info.visual_tokens for info in infos), limits.trained_max_visual_tokens
    if limits.trained_max_pages is not None and len(pages) > limits.trained_max_pages:
        found.append(
            f"There are {len(pages)} pages, more than the {limits.trained_max_pages} the model was "
            "trained with; ask about fewer at a time."
        )
    if most is not None and num_tokens > most:
        found.append(
            f"The pages take {num_tokens} visual tokens, more than the {most} the model was "
            "trained with; crop to the part you ask about, or give fewer pages."
        )
    smallest = limits.trained_min_type_px
    photos = [page for page in pages if smallest is not None and looks_like_photo(page.image)]
    if photos:
        which = _capital(photos[0].name) if len(photos) == 1 else f"{len(photos)} pages"
        found.append(
            f"{which} {'looks' if len(photos) == 1 else 'look'} like a photo, and the model was "
            f"trained on print; crop to the print, or {_LARGER}."
        )
    for page, info in zip(pages, infos, strict=True):
        is_document = page.number is not None
        type_px = _TYPE_POINTS / 72 * (dpi if dpi and is_document else DEFAULT_DPI)
        if smallest is None or type_px * info.scale >= smallest:
            continue
        readable = f"type below {smallest / info.scale:.0f} px in it may not be read"
        if info.scale < 1:
            found.append(
                f"{_capital(page.name)} was shrunk to {info.scale:.0%} of its size, so {readable}; "
                "crop to the part you ask about."
            )
        else:
            found.append(f"{_capital(page.name)} is drawn small, so {readable}; raise dpi.")
    return found


def text_layer_warnings(limits: ModelLimits, pages: Sequence[Page]) -> list[str]:
    """A text layer that was asked for, but that pages do not have, or that is in another script."""
    asked = [page for page in pages if page.text is not None]
    found = []
    for page in asked:
        strange = strange_scripts(page.text or "", limits.languages)
        if strange:
            found.append(
                f"{_capital(page.name)} holds {_named(strange)} text, which the model was not "
                f"trained on (its languages: {', '.join(limits.languages)}); {_LARGER}."
            )
            break
    bare = [page for page in asked if not page.text]
    if not bare:
        return found
    which = _capital(bare[0].name) if len(bare) == 1 else f"{len(bare)} of {len(asked)} pages"
    return [
        *found,
        f"{which} {'has' if len(bare) == 1 else 'have'} no text layer, so only the picture was "
        "read there.",
    ]


def question_warnings(limits: ModelLimits, question: str) -> list[str]:
    """Letters of another script, or characters that no question of the training data had."""
    scripts = strange_scripts(question, limits.languages)
    if scripts:
        return [
            f"The question is in {_named(scripts)} letters, which the model was not trained on "
            f"(its languages: {', '.join(limits.languages)}); ask in one of these, or {_LARGER}."
        ]
    if limits.trained_characters is None:
        return []
    known = {*limits.trained_characters, *" \n\t\r"}
    strange = sorted({char for char in question if char not in known})
    if not strange:
        return []
    tongue = f" (its languages: {', '.join(limits.languages)})" if limits.languages else ""
    return [
        f"The question has characters the model was not trained on, {' '.join(strange[:8])}"
        f"{tongue}; say it without them."
    ]


def confidence_warnings(limits: ModelLimits, confidence: float) -> list[str]:
    """An answer the model itself hardly believes."""
    if limits.low_confidence is None or confidence >= limits.low_confidence:
        return []
    return [
        f"The confidence is only {confidence:.2f}; check the answer on the page, or crop to the "
        "part you ask about."
    ]


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


def _named(scripts: Sequence[str]) -> str:
    """Scripts as a sentence calls them: Cyrillic, or Chinese for what Unicode calls CJK."""
    return " and ".join("Chinese" if each == "CJK" else each.capitalize() for each in scripts)


def _capital(name: str) -> str:
    # Only our own word: the name of a file keeps its case.
    return "P" + name[1:] if name.startswith("page ") else name
