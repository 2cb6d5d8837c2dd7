"""Plain mappings (from YAML) -> frozen dataclasses, checked whole before anything starts."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from ...errors import ConfigError

T = TypeVar("T")


def build(cls: type[T], values: Any, *, where: str) -> T:
    """Build a dataclass from a mapping, nested dataclasses and tuples of them included.

    Args:
        cls: a dataclass.
        values: mapping of its fields.
        where: place in the file, for errors, such as `stages[0].rows`.

    Raises:
        ConfigError: an unknown or missing key, or a value of the wrong type; the message
            names the key, and for unknown ones the nearest valid key.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where} must be a mapping of keys to values, not {values!r}")
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    for key in values:
        if key not in fields:
            raise ConfigError(unknown(key, fields, where=where))
    required = (
        name
        for name, field in fields.items()
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    )
    for name in required:
        if name not in values:
            raise ConfigError(f"{where} lacks the key {name!r}")
    kwargs = {
        key: convert(hints[key], value, where=f"{where}.{key}") for key, value in values.items()
    }
    try:
        return cls(**kwargs)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def convert(hint: Any, value: Any, *, where: str) -> Any:
    """Check a value against a type hint and bring it into that type."""
    if hint is Any:
        return value
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in args:
            return None
        options = [arg for arg in args if arg is not type(None)]
        for option in options[:-1]:
            try:
                return convert(option, value, where=where)
            except ConfigError:
                continue
        return convert(options[-1], value, where=where)
    if origin is typing.Literal:
        if value not in args:
            raise ConfigError(unknown(value, args, where=where, what="value"))
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{where} must be a list, not {value!r}")
        if args[-1] is Ellipsis:
            hints = [args[0]] * len(value)
        elif len(value) == len(args):
            hints = list(args)
        else:
            raise ConfigError(f"{where} must have {len(args)} entries, not {len(value)}")
        pairs = enumerate(zip(hints, value, strict=True))
        return tuple(convert(item, v, where=f"{where}[{idx}]") for idx, (item, v) in pairs)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} must be a mapping, not {value!r}")
        return {key: convert(args[1], v, where=f"{where}.{key}") for key, v in value.items()}
    if dataclasses.is_dataclass(hint):
        return value if isinstance(value, hint) else build(hint, value, where=where)  # type: ignore[arg-type]
    return _scalar(hint, value, where)


def unknown(key: Any, valid: Iterable[Any], *, where: str, what: str = "key") -> str:
    """The sentence for a name that does not exist, with the nearest one that does."""
    valid = [str(name) for name in valid]
    near = difflib.get_close_matches(str(key), valid, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"valid are {', '.join(sorted(valid))}"
    return f"{where} has the unknown {what} {key!r}; {hint}"


def _scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, str):  # YAML 1.1 reads 1e-3 as text
        try:
            return float(value)
        except ValueError:
            pass
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint in (str, bool) and isinstance(value, hint):
        return value
    raise ConfigError(f"{where} must be of type {hint.__name__}, not {value!r}")
