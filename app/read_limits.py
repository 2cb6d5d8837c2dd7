"""Limits of reading as they are given on the command line, `NAME=NUMBER`."""

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar

from ..errors import ConfigError

Limits = TypeVar("Limits")


def read_limits(kind: type[Limits], given: Sequence[str], *, option: str, of: str) -> Limits:
    """`["total-s=600", "max-frames=64"]` as limits, the others as they are.

    Args:
        kind: a dataclass of numbers that all have a default.
        option: what it was given to, for errors; `of` is what is limited.

    Raises:
        ConfigError: one is no `NAME=NUMBER`, or there is no such limit.
    """
    kinds = {field.name: type(field.default) for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for each in given:
        name, _, number = each.partition("=")
        name = name.strip().replace("-", "_")
        if name not in kinds:
            names = ", ".join(name.replace("_", "-") for name in kinds)
            raise ConfigError(f"There is no limit {name.replace('_', '-')!r} of {of}: {names}.")
        try:
            values[name] = kinds[name](number)
        except ValueError as error:
            whole = kinds[name] is int
            example = f"{name.replace('_', '-')}={'200' if whole else '600.5'}"
            raise ConfigError(
                f"{option} is {each!r}; write a {'whole ' if whole else ''}number, such as "
                f"{example}."
            ) from error
    return kind(**values)
