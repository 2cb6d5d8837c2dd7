"""What the package imports is declared, and what it declares is imported."""

import ast
import functools
import sys
import tomllib
from collections.abc import Mapping
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

FOLDERS = ("app", "data", "eval", "token_reduction", "vision_encoder", "vlm")
# torchvision: timm, open_clip and transformers' image processors are not whole without it.
USED_BY_OTHERS = {"torchvision"}


def normal(name: str) -> str:
    return name.lower().replace("_", "-")


@pytest.fixture(scope="module")
def declared(repository: Path) -> dict[str, set[str]]:
    """Extra ("" for what is always installed) -> distributions."""
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"": project["dependencies"], **project["optional-dependencies"]}
    return {
        extra: {normal(item.split(">")[0].split("[")[0].split(";")[0].strip()) for item in items}
        for extra, items in groups.items()
    }


@pytest.fixture(scope="module")
def imported(repository: Path) -> dict[str, str]:
    """Top-level module that is neither ours nor Python's -> a place that imports it."""
    found: dict[str, str] = {}
    for path in (path for folder in FOLDERS for path in (repository / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            for name in names:
                found[name.split(".")[0]] = f"{path.relative_to(repository)}:{node.lineno}"
    return {name: at for name, at in found.items() if name not in sys.stdlib_module_names}


@functools.cache
def providers() -> Mapping[str, list[str]]:
    return packages_distributions()


def distributions(module: str) -> set[str]:
    return {normal(name) for name in providers().get(module, [module])}


def test_what_is_imported_is_declared(
    imported: dict[str, str], declared: dict[str, set[str]]
) -> None:
    extras = ("", "gpu", "eval", "serve", "demo")
    allowed = set().union(*(declared[extra] for extra in extras))
    missing = {at: name for name, at in imported.items() if not distributions(name) & allowed}
    assert not missing


def test_what_is_declared_is_imported(
    imported: dict[str, str], declared: dict[str, set[str]]
) -> None:
    used = set().union(*(distributions(name) for name in imported))
    assert not declared[""] - used - USED_BY_OTHERS
