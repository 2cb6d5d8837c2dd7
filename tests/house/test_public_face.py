"""What `import latentvlm` shows, and what it costs."""

import subprocess
import sys
from importlib.metadata import version

import pytest

import latentvlm


def test_all_is_sorted_and_is_the_table() -> None:
    assert latentvlm.__all__ == sorted(latentvlm.__all__)
    assert set(latentvlm.__all__) == {*latentvlm._HOME, "__version__"}


@pytest.mark.parametrize("name", latentvlm.__all__)
def test_every_public_name_is_there(name: str) -> None:
    value = getattr(latentvlm, name)
    assert name in dir(latentvlm)
    if name != "__version__":
        assert value.__module__.startswith("latentvlm.")
        assert value.__doc__


def test_the_version_is_the_installed_one() -> None:
    assert latentvlm.__version__ == version("latentvlm")


def test_an_unknown_name_says_so() -> None:
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        _ = latentvlm.lode


def test_importing_loads_no_heavy_library() -> None:
    code = (
        "import latentvlm, sys; latentvlm.MediaError; dir(latentvlm);"
        "print(sorted({'torch', 'transformers', 'numpy', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
