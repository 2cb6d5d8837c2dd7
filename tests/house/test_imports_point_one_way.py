"""app -> eval -> vlm -> data -> token_reduction; vlm -> vision_encoder: read from the sources."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Folder -> the folders of ours that it may import from.
BELOW = {
    "app": {"app", "eval", "vlm", "data", "vision_encoder", "token_reduction"},
    "eval": {"eval", "vlm", "data", "vision_encoder", "token_reduction"},
    "vlm": {"vlm", "data", "vision_encoder", "token_reduction"},
    "data": {"data", "token_reduction"},
    "vision_encoder": {"vision_encoder"},
    "token_reduction": {"token_reduction"},
}
# These two know torch and integers; an encoder may wrap a library of encoders and read weights.
OUTSIDE = {
    "vision_encoder": {"torch", "timm", "open_clip", "safetensors"},
    "token_reduction": {"torch"},
}
MODEL_LIBRARIES = {"timm", "open_clip"}


def sources(repository: Path, folder: str) -> list[Path]:
    return sorted((repository / folder).rglob("*.py"))


def imports(path: Path, repository: Path) -> Iterator[tuple[int, list[str]]]:
    """Line and absolute dotted parts of every import, at any depth, `latentvlm` first if ours."""
    package = ["latentvlm", *path.relative_to(repository).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.split(".")
        elif isinstance(node, ast.ImportFrom):
            climb = node.level - 1
            assert climb < len(package), f"{path}:{node.lineno} climbs out of the package"
            base = package[: len(package) - climb] if node.level else []
            base = [*base, *(node.module.split(".") if node.module else [])]
            for alias in node.names:
                yield node.lineno, [*base, alias.name]


@pytest.mark.parametrize("folder", BELOW)
def test_a_folder_imports_only_what_lies_below_it(folder: str, repository: Path) -> None:
    paths = sources(repository, folder)
    assert paths, f"{folder} has no sources"
    wrong = [
        f"{path.relative_to(repository)}:{line} imports {'.'.join(parts)}"
        for path in paths
        for line, parts in imports(path, repository)
        if parts[0] == "latentvlm" and parts[1] not in {*BELOW[folder], "errors", "__version__"}
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("folder", BELOW)
def test_inside_the_package_imports_are_relative(folder: str, repository: Path) -> None:
    for path in sources(repository, folder):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            ours = [name for name in names if name.split(".")[0] in {"latentvlm", *BELOW}]
            assert not ours, f"{path.relative_to(repository)} imports {ours[0]} absolutely"


@pytest.mark.parametrize("folder", OUTSIDE)
def test_geometry_and_encoders_know_only_torch(folder: str, repository: Path) -> None:
    known = {"latentvlm", *sys.stdlib_module_names, *OUTSIDE[folder]}
    for path in sources(repository, folder):
        for line, parts in imports(path, repository):
            where = f"{path.relative_to(repository)}:{line}"
            assert parts[0] in known, f"{where} imports {parts[0]}"


def test_data_knows_no_model(repository: Path) -> None:
    for path in sources(repository, "data"):
        for line, parts in imports(path, repository):
            where = f"{path.relative_to(repository)}:{line}"
            assert parts[0] not in MODEL_LIBRARIES, f"{where} imports {parts[0]}"


def test_errors_imports_nothing(repository: Path) -> None:
    assert not list(imports(repository / "errors.py", repository))


def test_the_root_executes_no_import_of_ours(repository: Path) -> None:
    tree = ast.parse((repository / "__init__.py").read_text(encoding="utf-8"))
    run = [
        node
        for statement in tree.body
        if not (isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING")
        for node in ast.walk(statement)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not run


def test_no_other_module_at_the_root(repository: Path) -> None:
    assert {path.name for path in repository.glob("*.py")} == {"__init__.py", "errors.py"}
