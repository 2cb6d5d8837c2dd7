"""`latentvlm demo` up to the page: its options, and what is said where gradio is missing."""

import subprocess
import sys

import pytest

from latentvlm.app.cli import main
from latentvlm.app.commands.demo import PACKAGED, label
from latentvlm.app.demo.config import DemoConfig
from latentvlm.errors import ConfigError


def test_neither_the_package_nor_its_help_needs_gradio() -> None:
    code = """if True:
        import sys
        sys.modules["gradio"] = sys.modules["torch"] = None
        import latentvlm
        from latentvlm.app.cli import main
        main(["demo", "--help"])
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--login" in done.stdout and "Example: latentvlm demo" in done.stdout


def test_without_gradio_a_sentence_says_what_to_install(monkeypatch, capsys) -> None:
    for name in [name for name in sys.modules if name.startswith("latentvlm.app.demo")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(SystemExit) as exit:
        main(["demo", "--port", "0"])
    assert exit.value.code == 2
    assert "pip install 'latentvlm[demo]'" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--login", "nobody"], ["--login", ":x"], ["--port", "70000"]])
def test_options_that_cannot_be_are_refused_before_anything_is_opened(wrong, capsys) -> None:
    with pytest.raises(SystemExit) as exit:
        main(["demo", *wrong])
    assert exit.value.code == 2
    assert capsys.readouterr().err.startswith(
        "error: The " if wrong[1] != "nobody" else "error: --"
    )


def test_it_is_for_this_machine_alone_unless_told_otherwise() -> None:
    assert DemoConfig().is_loopback and DemoConfig().login is None
    assert not DemoConfig(host="0.0.0.0").is_loopback
    with pytest.raises(ConfigError, match="from 0 to 65535"):
        DemoConfig(port=-1)


def test_models_are_called_by_folder_or_id(tmp_path) -> None:
    (tmp_path / "mine").mkdir()
    assert label(str(tmp_path / "mine")) == "mine"
    assert label("owner/name") == "owner/name" and label(None) == PACKAGED
