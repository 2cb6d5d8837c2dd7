"""Every public name has an example, and every example that is shown runs."""

import functools
from pathlib import Path

import pytest
from support.examples import blocks, names_in, public_docstrings, write_files

import latentvlm

ROOT = Path(__file__).resolve().parents[2]
DOCSTRINGS = dict(public_docstrings())
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SHOWN = [(name, code) for name, text in DOCSTRINGS.items() for code in blocks(text)]
SHOWN += [(path.name, code) for path in PAGES for code in blocks(path.read_text("utf-8"))]
# Needs a server that runs; tests/app/server asks one with the same client.
ELSEWHERE = {"server.md"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    write_files(folder, ROOT)
    (folder / "data").mkdir()
    (folder / "data" / "samples").symlink_to(ROOT / "data" / "samples")
    return folder


@pytest.fixture(scope="module")
def load():
    """`latentvlm.load`, but what was opened once is kept: most examples open the same model."""
    return functools.cache(latentvlm.load)


def test_every_public_name_has_an_example() -> None:
    errors = {name for name in latentvlm.__all__ if name.endswith("Error")} - {"LatentVLMError"}
    without = {name for name, text in DOCSTRINGS.items() if not blocks(text)}
    assert without == errors
    used = set().union(*(names_in(code) for _, code in SHOWN))
    assert used <= set(latentvlm.__all__) | {"vlm", "data"}


@pytest.mark.parametrize(
    ("name", "code"), SHOWN, ids=[f"{name}-{idx}" for idx, (name, _) in enumerate(SHOWN)]
)
def test_an_example_runs(
    name: str,
    code: str,
    files: Path,
    load,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if name in ELSEWHERE:
        pytest.skip("asks a server")
    monkeypatch.chdir(files)
    monkeypatch.setattr(latentvlm, "load", load)
    exec(compile(code, f"<example of {name}>", "exec"), {"__name__": "example"})
    assert capsys.readouterr().out.strip(), "an example prints what it shows"
