"""The checkout, a clone of it under an awkward name, and the wheel built from that clone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def repository() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is committed, in a folder whose name is no Python identifier."""
    folder = tmp_path_factory.mktemp("clone") / "my-repo.2"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
    return folder


@pytest.fixture(scope="session")
def clone_env(clone: Path) -> dict[str, str]:
    """An environment in which `latentvlm` is the clone, as an editable install makes it."""
    site = clone.parent / "site"
    site.mkdir()
    (site / "latentvlm").symlink_to(clone, target_is_directory=True)
    return {**os.environ, "PYTHONPATH": str(site)}


@pytest.fixture(scope="session")
def wheel(clone: Path) -> Path:
    """The wheel of what is committed, built offline."""
    out = clone.parent / "wheel"
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps"]
    subprocess.run([*command, "--no-index", "-w", str(out), str(clone)], check=True)
    (built,) = out.glob("*.whl")
    return built
