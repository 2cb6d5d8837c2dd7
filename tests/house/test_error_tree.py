"""The exception tree: drawn in errors.py, exported by the package, and nothing beside it."""

import re
import sys

import pytest

import latentvlm
from latentvlm import errors

ROW = re.compile(r"^    (?P<indent>[\u2500-\u257f ]*)(?P<name>\w+Error)(?: \((?P<mixin>\w+)\))?")
CLASSES = {name: value for name, value in vars(errors).items() if isinstance(value, type)}


def drawn() -> dict[str, tuple[str | None, str | None]]:
    """Name -> (parent, built-in mixin) as the docstring draws them."""
    tree: dict[str, tuple[str | None, str | None]] = {}
    path: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        if row := ROW.match(line):
            depth = len(row["indent"])
            path = [(at, name) for at, name in path if at < depth]
            tree[row["name"]] = (path[-1][1] if path else None, row["mixin"])
            path.append((depth, row["name"]))
    return tree


def test_the_drawing_shows_every_class() -> None:
    assert set(drawn()) == set(CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_stands_where_it_is_drawn(name: str) -> None:
    parent, mixin = drawn()[name]
    bases = {base.__name__ for base in CLASSES[name].__bases__}
    assert bases == ({parent or "Exception"} | ({mixin} if mixin else set()))


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_is_exported(name: str) -> None:
    assert name in latentvlm.__all__
    assert getattr(latentvlm, name) is CLASSES[name]


def test_a_module_is_imported_under_one_name() -> None:
    names = [
        name
        for name, module in list(sys.modules.items())
        if getattr(module, "__file__", None) == errors.__file__
    ]
    assert names == ["latentvlm.errors"]
