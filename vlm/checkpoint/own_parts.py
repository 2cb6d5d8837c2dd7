"""Models of one's own parts: any tower, the projector and any of the language models.

disk                            ours
vision_encoder.X                vision_encoder.X, under the names of the tower's library
vision_final_layernorm.X        vision_final_layernorm.X, where the text model has a draft head
projector.X                     projector.X
language_model.X                language_model.(as X is read by the family of the text model)
"""

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from ..config import VisionLanguageConfig
from .names import Family, Place, labelled
from .own_parts_config import (
    ARCHITECTURE,
    MODEL_TYPE,
    config_from_json,
    config_to_json,
    text_family_of,
)

_TEXT = "language_model."
_OWN = ("vision_encoder.", "vision_final_layernorm.", "projector.")


def place(name: str, text: Family) -> Place | None:
    """Place of a disk name; None for one that neither this family nor its text model's knows."""
    if name.startswith(_OWN):
        return Place(name=name)
    found = text.place(name.removeprefix(_TEXT)) if name.startswith(_TEXT) else None
    return found and Place(name=_TEXT + found.name, expert=found.expert)


def _suited(config: VisionLanguageConfig) -> Family:
    text = text_family_of(config.text)

    def disk_name(name: str, expert: int | None) -> str:
        if not name.startswith(_TEXT):
            return name
        return _TEXT + text.disk_name(name.removeprefix(_TEXT), expert)

    def respell(name: str, tensor: Tensor) -> list[str] | None:
        if not name.startswith(_TEXT):
            return None
        names = text.respell(name.removeprefix(_TEXT), tensor)
        return names and [_TEXT + each for each in names]

    def halves(name: str) -> tuple[str, str] | None:
        found = text.halves(name.removeprefix(_TEXT)) if name.startswith(_TEXT) else None
        return found and (_TEXT + found[0], _TEXT + found[1])

    return replace(
        FAMILY,
        place=lambda name: place(name, text),
        disk_name=disk_name,
        respell=respell,
        halves=halves,
        is_left_aside=_of_text(text.is_left_aside),
        must_be_ones=_of_text(text.must_be_ones),
        may_be_absent=_of_text(text.may_be_absent),
    )


def _of_text(rule: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda name: name.startswith(_TEXT) and rule(name.removeprefix(_TEXT))


FAMILY = Family(
    name=MODEL_TYPE,
    recognises=labelled(MODEL_TYPE, ARCHITECTURE),
    read_config=lambda values, strict: config_from_json(values, strict=strict),
    write_config=config_to_json,
    place=lambda name: None,  # which language model it has, only a configuration says
    disk_name=lambda name, expert: name,
    suited=_suited,
)
