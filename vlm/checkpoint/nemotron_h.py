"""Tensor names of Nemotron-H text models.

On disk: `backbone.layers.N.mixer.*`, one tensor an expert, `lm_head.weight`, `mtp.layers.*`.
Ours: the same without `backbone.`, experts stacked. transformers spells the prefix
`model.` and may store experts stacked; both are read, the released form is written.
"""

import re

from .names import Family, Place, labelled
from .nemotron_h_config import ARCHITECTURE, MODEL_TYPE, config_from_json, config_to_json

_PREFIX = re.compile(r"^(backbone|model)\.")
_EXPERT = re.compile(r"^(.*\.mixer\.experts)\.(\d+)\.(up_proj|down_proj)\.weight$")
_ALIASES = [
    (re.compile(r"^(embedding|embed_tokens)\.weight$"), "embeddings.weight"),
    (re.compile(r"\.gate\.e_score_correction\.bias$"), ".gate.e_score_correction_bias"),
]


def place(name: str) -> Place | None:
    """Place of a disk name; None if it has neither a known prefix nor a known head."""
    if not name.startswith(("lm_head.", "mtp.")):
        if not _PREFIX.match(name):
            return None
        name = _PREFIX.sub("", name)
    for pattern, spelling in _ALIASES:
        name = pattern.sub(spelling, name)
    expert = _EXPERT.match(name)
    if expert:
        return Place(name=f"{expert[1]}.{expert[3]}", expert=int(expert[2]))
    return Place(name=name)


def disk_name(name: str, expert: int | None) -> str:
    """The released name of a tensor of ours."""
    if expert is not None:
        stack, _, projection = name.rpartition(".")
        name = f"{stack}.{expert}.{projection}.weight"
    return name if name.startswith(("lm_head.", "mtp.")) else f"backbone.{name}"


FAMILY = Family(
    name=MODEL_TYPE,
    recognises=labelled(MODEL_TYPE, ARCHITECTURE),
    read_config=lambda values, strict: config_from_json(values, strict=strict),
    write_config=lambda config: {**config_to_json(config), "architectures": [ARCHITECTURE]},
    place=place,
    disk_name=disk_name,
)
