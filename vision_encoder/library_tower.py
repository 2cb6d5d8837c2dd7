"""The configuration of a tower from a library: what it is called there, and what came of it.

The libraries are imported when a tower is built, not before.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import torch

from ..errors import ConfigError
from .picture_tower import PictureTower

Triple = tuple[float, float, float]


def _timm(name: str, model_args: Mapping[str, Any]) -> PictureTower:
    from .timm_encoder import TimmEncoder

    return TimmEncoder(name, model_args=model_args)


def _open_clip(name: str, model_args: Mapping[str, Any]) -> PictureTower:
    from .open_clip_encoder import OpenClipEncoder

    return OpenClipEncoder(name, model_args=model_args)


LIBRARIES: dict[str, Callable[[str, Mapping[str, Any]], PictureTower]] = {
    "timm": _timm,
    "open_clip": _open_clip,
}


@dataclass(frozen=True, kw_only=True)
class LibraryTower:
    """A tower of timm or open_clip; `library_tower` finds the sizes.

    Attributes:
        library: "timm" or "open_clip".
        name: as the library lists it.
        model_args: what its constructor is given besides; JSON values.
        hidden_size: width of a feature.
        patch_size: side of a patch in pixels.
        image_mean, image_std: what pixels are normalised with.
        layer_norm_eps: of a norm put behind the tower.

    Raises:
        ConfigError: no such library, or `model_args` JSON cannot hold.
    """

    library: str
    name: str
    model_args: Mapping[str, Any] = field(default_factory=dict)
    hidden_size: int
    patch_size: int
    image_mean: Triple
    image_std: Triple
    layer_norm_eps: float = 1e-6

    def __post_init__(self) -> None:
        _check_library(self.library)
        try:
            plain = json.loads(json.dumps(dict(self.model_args)))
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"The arguments {self.model_args} of the tower {self.name} cannot be written to "
                "config.json; give numbers, texts, lists and true or false only."
            ) from error
        object.__setattr__(self, "model_args", plain)

    @property
    def video_temporal_patch_size(self) -> None:
        """These towers take the frames of a video one by one."""

    @property
    def patch_dim(self) -> int:
        return 3 * self.patch_size**2

    def build(self) -> PictureTower:
        """The tower with random weights.

        Where modules are made on the meta device it is made on the CPU: what such a tower
        computes once and never stores, it could not compute there.

        Raises:
            ConfigError: the library cannot build it, or it has other sizes than these.
        """
        is_meta = torch.get_default_device().type == "meta"
        with torch.device("cpu" if is_meta else torch.get_default_device()):
            encoder = LIBRARIES[self.library](self.name, self.model_args)
        for key in ("hidden_size", "patch_size"):
            given, found = getattr(self, key), getattr(encoder, key)
            if given != found:
                raise ConfigError(
                    f"The {self.library} tower {self.name} has {key} {found}, "
                    f"but its configuration says {given}."
                )
        return encoder


def library_tower(
    library: str, name: str, *, model_args: Mapping[str, Any] | None = None
) -> LibraryTower:
    """The configuration of a tower, which is built once to find its sizes; no download.

    Args:
        library: "timm" or "open_clip".
        name: as the library lists it.
        model_args: for its constructor, such as {"depth": 4} (timm) or {"layers": 4}.

    Raises:
        ConfigError: no such library or tower, or it cannot encode pictures of any size.
    """
    _check_library(library)
    return tower_config(LIBRARIES[library](name, model_args or {}))


def tower_config(encoder: PictureTower) -> LibraryTower:
    """The configuration of a tower that is there already, with whatever weights."""
    return LibraryTower(
        library=encoder.library,
        name=encoder.name,
        model_args=encoder.model_args,
        hidden_size=encoder.hidden_size,
        patch_size=encoder.patch_size,
        image_mean=_triple(encoder.image_mean),
        image_std=_triple(encoder.image_std),
    )


def _triple(values: tuple[float, ...]) -> Triple:
    red, green, blue = values
    return red, green, blue


def _check_library(library: str) -> None:
    if library not in LIBRARIES:
        near = get_close_matches(library, LIBRARIES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(LIBRARIES)}."
        raise ConfigError(f"There is no library {library!r} of vision towers; {hint}")
