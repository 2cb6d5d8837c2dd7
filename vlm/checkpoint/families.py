"""The families of checkpoints, and which of them a folder or a configuration belongs to.

A new family is a file with a `Family` in it and a line here, or in `text_families.py` if it is a
language model.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import ConfigError
from ..config import LanguageConfig, VisionLanguageConfig
from . import nemotron_h_omni, nemotron_nano_vl_v2, own_parts
from .names import Family, labels
from .text_families import TEXT_FAMILIES

FAMILIES: tuple[Family, ...] = (
    nemotron_h_omni.FAMILY,
    nemotron_nano_vl_v2.FAMILY,
    own_parts.FAMILY,
    *TEXT_FAMILIES,
)


def family_of_json(values: Mapping[str, Any], path: Path) -> Family:
    """The family of a `config.json`, which is named in the error.

    Raises:
        ConfigError: none of them recognises it, or more than one does.
    """
    found = [family for family in FAMILIES if family.recognises(values)]
    if len(found) == 1:
        return found[0]
    named = ", ".join(sorted(labels(values))) or "nothing"
    if found:
        raise ConfigError(
            f"{path} names {named}, which are of {len(found)} families: model_type and "
            "architectures must name the same one."
        )
    known = ", ".join(family.name for family in FAMILIES)
    raise ConfigError(f"{path} names {named}; the known families are {known}.")


def family_of(config: LanguageConfig | VisionLanguageConfig) -> Family:
    """The family that a model is written as.

    Raises:
        ConfigError: `config.family` names none.
    """
    for family in FAMILIES:
        if family.name == config.family:
            return family.suited(config) if family.suited else family
    known = ", ".join(family.name for family in FAMILIES)
    raise ConfigError(f"family is {config.family!r}; the known families are {known}.")
