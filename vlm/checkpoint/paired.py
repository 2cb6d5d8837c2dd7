"""Names and patterns of families whose layer holds a mixer and then an MLP or experts.

Such a layer is two blocks here: layer N's mixer is block 2N, what follows it block 2N + 1.

disk                                        ours
model.embed_tokens.weight                   embeddings.weight
model.(final norm).weight                   norm_f.weight
lm_head.weight                              lm_head.weight
model.layers.N.input_layernorm.weight       layers.2N.norm.weight
model.layers.N.(mamba|self_attn).X          layers.2N.mixer.X
model.layers.N.(second norm).weight         layers.2N+1.norm.weight
model.layers.N.(path of the second block)X  layers.2N+1.mixer.X
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...errors import ConfigError
from .names import Place

_DISK_LAYER = re.compile(r"^model\.layers\.(\d+)\.(.+)$")
_OUR_LAYER = re.compile(r"^layers\.(\d+)\.(.+)$")
_DISK_EXPERT = re.compile(r"^(experts)\.(\d+)\.(\w+_proj)\.weight$")
_PROJECTION = re.compile(r"^[qkvo]_proj\.")


@dataclass(frozen=True, kw_only=True)
class PairedNames:
    """The key map of one such family.

    Attributes:
        final_norm: the norm before the head.
        second_norm: the norm of the second block.
        second: beginnings of our names inside the second block's mixer, longest first, to what
            stands there on disk.
    """

    final_norm: str
    second_norm: str
    second: Mapping[str, str]

    def place(self, name: str) -> Place | None:
        """Place of a disk name; None for one the family does not know."""
        for ours, disk in self._outside.items():
            if name == disk:
                return Place(name=ours)
        layer = _DISK_LAYER.match(name)
        if not layer:
            return None
        first = 2 * int(layer[1])
        rest = layer[2]
        if rest == "input_layernorm.weight":
            return Place(name=f"layers.{first}.norm.weight")
        if rest == f"{self.second_norm}.weight":
            return Place(name=f"layers.{first + 1}.norm.weight")
        kind, _, inside = rest.partition(".")
        if kind in ("mamba", "self_attn"):
            is_projection = _PROJECTION.match(inside) is not None
            return self._inside(first, inside) if is_projection == (kind == "self_attn") else None
        for ours, disk in self.second.items():
            if rest.startswith(disk):
                return self._inside(first + 1, ours + rest.removeprefix(disk))
        return None

    def disk_name(self, name: str, expert: int | None) -> str:
        """The released name of a tensor of ours."""
        if name in self._outside:
            return self._outside[name]
        layer = _OUR_LAYER.match(name)
        assert layer is not None, name
        number, second = divmod(int(layer[1]), 2)
        prefix = f"model.layers.{number}."
        if layer[2] == "norm.weight":
            return f"{prefix}{self.second_norm if second else 'input_layernorm'}.weight"
        inside = layer[2].removeprefix("mixer.")
        if not second:
            return prefix + ("self_attn." if _PROJECTION.match(inside) else "mamba.") + inside
        if expert is not None:
            stack, _, projection = inside.rpartition(".")
            inside = f"{stack}.{expert}.{projection}.weight"
        ours = next(begin for begin in self.second if inside.startswith(begin))
        return prefix + self.second[ours] + inside.removeprefix(ours)

    @property
    def _outside(self) -> dict[str, str]:
        return {
            "embeddings.weight": "model.embed_tokens.weight",
            "norm_f.weight": f"model.{self.final_norm}.weight",
            "lm_head.weight": "lm_head.weight",
        }

    @staticmethod
    def _inside(block: int, inside: str) -> Place:
        expert = _DISK_EXPERT.match(inside)
        if expert:
            stack = f"layers.{block}.mixer.{expert[1]}.{expert[3]}"
            return Place(name=stack, expert=int(expert[2]))
        return Place(name=f"layers.{block}.mixer.{inside}")


def split_pattern(pattern: str, *, family: str, mixers: str) -> tuple[str, str]:
    """The letters of the layers' mixers, and those of what follows them.

    Raises:
        ConfigError: the pattern is not made of such layers.
    """
    first, second = pattern[::2], pattern[1::2]
    if len(first) != len(second) or set(first) - set(mixers) or set(second) - set("-E"):
        raise ConfigError(
            f"hybrid_override_pattern {pattern!r} cannot be written as {family}: its layers are "
            f"pairs of one of {', '.join(mixers)} and one of -, E."
        )
    return first, second


def period_and_offset(places: Sequence[int], length: int, *, what: str) -> tuple[int, int]:
    """The period and offset that give exactly these places of `length` layers.

    Raises:
        ConfigError: there are none.
    """
    if not places:
        return length + 1, length
    period = places[1] - places[0] if len(places) > 1 else max(length, places[0] + 1)
    offset = places[0]
    if offset >= period or list(places) != list(range(offset, length, period)):
        raise ConfigError(
            f"{what} layers {list(places)} of {length} do not repeat with one period, so this "
            "family's config.json cannot say where they are."
        )
    return period, offset
