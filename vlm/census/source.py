"""What `MODEL` names on the command line: a checkpoint folder, a preset, a quantized release.

Or a repository on the hub, of which everything but the weights is fetched, and their headers.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import ConfigError
from ..checkpoint import hub
from ..checkpoint.headers import Headers, list_checkpoint
from ..checkpoint.kv_scales import is_kv_scale
from ..checkpoint.load import load_config
from ..config import LanguageConfig, VisionLanguageConfig
from ..presets import PRESETS, preset
from ..quantize.releases import RELEASES
from .known_names import nearest
from .tensors import TensorInfo, config_tensors, tensors_of


@dataclass(frozen=True, kw_only=True)
class Source:
    """A model to count.

    Attributes:
        tensors: what it is stored as.
        folder, headers: its files but for the weights, and what those hold; None for a preset.
        sizes: bytes of each file, weights included.
    """

    name: str
    kind: str
    config: VisionLanguageConfig | LanguageConfig
    tensors: list[TensorInfo]
    folder: Path | None = None
    headers: Headers | None = None
    sizes: Mapping[str, int] | None = None

    @property
    def text(self) -> LanguageConfig:
        return self.config.text if isinstance(self.config, VisionLanguageConfig) else self.config

    @property
    def has_kv_scales(self) -> bool:
        """Whether it brings the scales of a cache in FP8."""
        return any(is_kv_scale(tensor.name) for tensor in self.tensors)

    def with_text(self, text: LanguageConfig) -> VisionLanguageConfig | LanguageConfig:
        """The configuration with another language model; what sees pictures stays."""
        if isinstance(self.config, VisionLanguageConfig):
            return replace(self.config, text=text)
        return text


def find_source(name: str, *, revision: str | None = None) -> Source:
    """The model of that name; weights are not read, and not fetched.

    Args:
        revision: branch, tag or commit of a repository on the hub.

    Raises:
        ConfigError: no folder, preset or release has that name, or its configuration is wrong.
        CheckpointError: the folder is no checkpoint, or the hub has no such repository.
    """
    is_local = os.path.isdir(name)  # Path.is_dir raises for a name too long to be one
    if is_local or name.count("/") == 1:
        found = hub.find_source(name, revision=revision, weights=False)
        config = load_config(found.folder)
        listing = list_checkpoint(found)
        return Source(
            name=name if is_local else str(found),
            kind="folder" if is_local else "repository",
            config=config,
            tensors=tensors_of(listing.headers),
            folder=found.folder,
            headers=listing.headers,
            sizes=listing.sizes,
        )
    if revision is not None:
        raise ConfigError(
            f"{name} is no repository on the hub, so it has no revision {revision!r}."
        )
    if name in RELEASES:
        config = preset(RELEASES[name].preset)
        tensors = config_tensors(config, RELEASES[name])
        return Source(name=name, kind="release", config=config, tensors=tensors)
    if name in PRESETS:
        config = preset(name)
        return Source(name=name, kind="preset", config=config, tensors=config_tensors(config))
    raise ConfigError(
        f"There is no folder and no preset named {name!r}; {nearest(name, [*PRESETS, *RELEASES])} "
        "(or give owner/name of a repository on the hub)."
    )
