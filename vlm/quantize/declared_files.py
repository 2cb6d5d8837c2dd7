"""Where a checkpoint folder declares its number formats: found, read, and written back.

That is `quantization_config` of `config.json`, at its top or with the text model, which wins, or
`hf_quant_config.json`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...data.processor_files import read_json
from .declared import DeclaredFormats
from .declared_json import declared_from_json

QUANT_CONFIG_FILE = "hf_quant_config.json"
_NESTED = ("text_config", "llm_config")
_KEYS = ("quantization_config", "compression_config")


@dataclass(frozen=True, kw_only=True)
class DeclaredFiles:
    """What the files of a folder say of quantization, word for word.

    Attributes:
        in_config: keys that lead to it in `config.json`, and what is there.
        apart: what `hf_quant_config.json` holds.
    """

    in_config: Mapping[tuple[str, ...], Any] = field(default_factory=dict)
    apart: dict[str, Any] | None = None

    def put_into(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """A `config.json` with its part of it."""
        values = dict(values)
        for (*holder, key), found in self.in_config.items():
            nested = values.get(holder[0]) if holder else None
            if isinstance(nested, Mapping):
                values[holder[0]] = {**nested, key: found}
            else:
                values[key] = found
        return values


def read_declared_files(folder: str | Path) -> DeclaredFiles:
    """What a folder says, unread.

    Raises:
        CheckpointError: a file is missing or unreadable.
    """
    values = read_json(Path(folder) / "config.json")
    apart = Path(folder) / QUANT_CONFIG_FILE
    in_config: dict[tuple[str, ...], Any] = {}
    for path in ((), *((key,) for key in _NESTED)):
        holder = values.get(path[0]) if path else values
        for key in _KEYS:
            if isinstance(holder, Mapping) and holder.get(key):
                in_config[(*path, key)] = holder[key]
    return DeclaredFiles(in_config=in_config, apart=read_json(apart) if apart.is_file() else None)


def read_declared(folder: str | Path) -> DeclaredFormats | None:
    """What a folder declares; None if it says nothing of quantization.

    Raises:
        CheckpointError: a file is missing or unreadable.
        ConfigError: it declares what is not supported, or contradicts itself.
    """
    folder = Path(folder)
    files = read_declared_files(folder)
    for found in files.in_config.values():
        return declared_from_json(found, source=str(folder / "config.json"), apart=files.apart)
    if files.apart is None:
        return None
    return declared_from_json(files.apart, source=str(folder / QUANT_CONFIG_FILE))


def without_declared(values: Mapping[str, Any]) -> dict[str, Any]:
    """A `config.json` without what it declares here; the model's shape is left."""
    left = {key: value for key, value in values.items() if key not in _KEYS}
    for key in _NESTED:
        if isinstance(left.get(key), Mapping):
            left[key] = without_declared(left[key])
    return left
