"""The wheel holds the package, whole, and nothing else."""

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

FOLDERS = ("app", "data", "eval", "token_reduction", "vision_encoder", "vlm")
ROOT_FILES = {"__init__.py", "errors.py", "py.typed"}


@pytest.fixture(scope="module")
def tracked(clone: Path) -> set[str]:
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=True)
    return set(listed.stdout.rstrip("\0").split("\0"))


def test_the_packages_list_is_the_folders(clone: Path, tracked: set[str]) -> None:
    project = tomllib.loads((clone / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["setuptools"]["packages"]
    folders = {
        Path(name).parent for name in tracked if name.startswith(FOLDERS) and name.endswith(".py")
    }
    expected = {".".join(("latentvlm", *folder.parts)) for folder in folders}
    assert packages == sorted(expected | {"latentvlm"})
    missing = [str(folder) for folder in folders if f"{folder}/__init__.py" not in tracked]
    assert not missing, f"without __init__.py: {missing}"


def test_the_wheel_is_what_is_tracked(wheel: Path, tracked: set[str]) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = {name for name in tracked if name.split("/")[0] in FOLDERS} | ROOT_FILES
    assert held == {f"latentvlm/{name}" for name in expected}


def test_the_wheel_has_one_top_level_name(wheel: Path) -> None:
    names = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"latentvlm"}


def test_the_wheel_answers_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*install, "--target", str(bare), str(wheel)], check=True)
    page = bare / "latentvlm" / "data" / "samples" / "invoice.png"
    code = f"""if True:
        import latentvlm, os, sys
        from latentvlm.app.cli import main
        sys.stderr.write(os.path.dirname(latentvlm.__file__))
        main({["ask", str(page), "What is the total?", "--json"]!r})
    """
    env = {**os.environ, "PYTHONPATH": str(bare), "HOME": str(tmp_path / "nowhere")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(str(bare / "latentvlm"))
    assert json.loads(done.stdout)["text"] == "$28.21"
