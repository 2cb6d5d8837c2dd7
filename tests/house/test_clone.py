"""A checkout may have any name, and asking for help never pays for torch."""

import subprocess
import sys
import time
from pathlib import Path

BLOCKER = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "transformers"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
"""


def test_a_test_file_runs_in_a_folder_that_is_no_identifier(
    clone: Path, clone_env: dict[str, str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/house/test_error_tree.py"],
        cwd=clone,
        env=clone_env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_the_clone_is_what_was_imported(clone: Path, clone_env: dict[str, str]) -> None:
    code = "import latentvlm.errors as e, os; print(os.path.realpath(e.__file__))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=clone_env, capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()) == (clone / "errors.py").resolve()


def test_help_works_where_torch_cannot_be_imported(
    clone_env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "blocker.py").write_text(BLOCKER)
    env = {**clone_env, "PYTHONPATH": f"{clone_env['PYTHONPATH']}:{tmp_path}"}
    for arguments in (["--help"], ["ask", "--help"], ["chat", "--help"], ["--version"]):
        code = f"import blocker; from latentvlm.app.cli import main; main({arguments!r})"
        start = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.strip()
        # A torch import alone takes longer than this on a slow disk; help takes a fraction.
        assert time.monotonic() - start < 10
