"""Shared by all tests: helpers in `tests/support/` and one small random model folder."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("support")  # so that a comparison there shows both sides


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete random model folder in float32; read it, do not write into it."""
    from support.tiny_model import write_tiny_model

    folder = tmp_path_factory.mktemp("tiny-model")
    write_tiny_model(folder)
    return folder
