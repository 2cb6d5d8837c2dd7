"""What `MODEL` names on the command line: a checkpoint folder, a preset, a quantized release.

Or a repository on the hub, whose files are then fetched as for loading, weights included.
"""

import os
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from ...data.processor_files import read_json
from ...errors import ConfigError
from ..checkpoint import hub
from ..checkpoint.families import family_of_json
from ..config import LanguageConfig, VisionLanguageConfig
from ..presets import PRESETS, preset
from ..quantize.releases import RELEASES
from .tensors import TensorInfo, config_tensors, folder_tensors


@dataclass(frozen=True, kw_only=True)
class Source:
    """A model to count: its configuration and its tensors, and the folder if there is one."""

    name: str
    kind: str
    config: VisionLanguageConfig | LanguageConfig
    tensors: list[TensorInfo]
    folder: Path | None = None

    @property
    def text(self) -> LanguageConfig:
        return self.config.text if isinstance(self.config, VisionLanguageConfig) else self.config

    def with_text(self, text: LanguageConfig) -> VisionLanguageConfig | LanguageConfig:
        """The configuration with another language model; what sees pictures stays."""
        if isinstance(self.config, VisionLanguageConfig):
            return replace(self.config, text=text)
        return text


def find_source(name: str) -> Source:
    """The model of that name; of a folder only the headers are read.

    Raises:
        ConfigError: no folder, preset or release has that name, or its configuration is wrong.
        CheckpointError: the folder is no checkpoint, or the hub has no such repository.
    """
    is_local = os.path.isdir(name)  # Path.is_dir raises for a name too long to be one
    if is_local or name.count("/") == 1:
        folder = Path(name) if is_local else hub.find_source(name).folder
        values = read_json(folder / "config.json")
        # how the weights are stored is told by the tensors themselves
        values.pop("quantization_config", None)
        family = family_of_json(values, folder / "config.json")
        config = family.complete(family.read_config(values, False), values, folder)
        return Source(
            name=name,
            kind="folder" if is_local else "repository",
            config=config,
            tensors=folder_tensors(folder),
            folder=folder,
        )
    if name in RELEASES:
        config = preset(RELEASES[name].preset)
        tensors = config_tensors(config, RELEASES[name])
        return Source(name=name, kind="release", config=config, tensors=tensors)
    if name in PRESETS:
        config = preset(name)
        return Source(name=name, kind="preset", config=config, tensors=config_tensors(config))
    known = [*PRESETS, *RELEASES]
    begun = [each for each in known if each.startswith(name.lower())]
    near = begun or get_close_matches(name.lower(), known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known presets are {', '.join(PRESETS)}."
    raise ConfigError(f"There is no folder and no preset named {name!r}; {hint}")
