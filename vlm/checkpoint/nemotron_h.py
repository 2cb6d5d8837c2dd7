"""Tensor names of Nemotron-H text models.

On disk: `backbone.layers.N.mixer.*`, one tensor an expert, `lm_head.weight`, `mtp.layers.*`.
Ours: the same without `backbone.`, experts stacked. transformers spells the prefix
`model.` and may store experts stacked; both are read, the released form is written.
"""

import re

from .names import Family, Place

_PREFIX = re.compile(r"^(backbone|model)\.")
_EXPERT = re.compile(r"^(.*\.mixer\.experts)\.(\d+)\.(up_proj|down_proj)\.weight$")
_STACKED = re.compile(r"\.mixer\.experts\.(up_proj|down_proj)$")
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


def is_expert_stack(name: str) -> bool:
    """Whether a name of ours is a stack that goes to disk expert by expert."""
    return _STACKED.search(name) is not None


FAMILY = Family(place=place, is_left_aside=lambda name: False, disk_name=disk_name)
