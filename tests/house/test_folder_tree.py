"""README draws every folder of the repository, and none that is not there."""

import re
import subprocess
from pathlib import Path, PurePosixPath

# Folders that the folder above them speaks for.
UNNAMED = {"data/fonts/licenses", "tests/eval/kit_scores", "vlm/pretrained/default"}
UNNAMED |= {"vlm/train/recipes"}


def drawn(readme: str) -> set[str]:
    """The folders of the tree; two spaces lead one level down."""
    tree = readme.split("## The folders")[1].split("```")[1]
    found, above = set(), []
    for indent, name in re.findall(r"^( *)(\S+)/ ", tree, re.MULTILINE):
        above = [*above[: len(indent) // 2], name]
        found.add("/".join(above))
    return found


def committed(repository: Path) -> set[str]:
    command = ["git", "-C", str(repository), "ls-files"]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\n")
    folders = {str(each) for name in names if name for each in PurePosixPath(name).parents}
    return {each for each in folders if not each.startswith(".")}


def test_every_folder_is_drawn_and_nothing_else(repository: Path) -> None:
    there = committed(repository)
    mirrors = {f"tests/{each}" for each in there} & there
    named = drawn((repository / "README.md").read_text(encoding="utf-8"))
    assert named - there == set()
    assert there - named - mirrors == UNNAMED
