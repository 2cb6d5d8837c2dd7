"""The examples that docstrings and pages show, as code; and the files that they speak of."""

import ast
import inspect
import re
import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from support.clips import write_clip
from support.tiny_model import tiny_config, write_tiny_model

import latentvlm

_FENCE = re.compile(r"^( *)```python\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def blocks(text: str) -> list[str]:
    """The Python between fences that stands alone: it imports what it uses."""
    found = [textwrap.dedent(code) for _, code in _FENCE.findall(text)]
    return [code for code in found if "import latentvlm" in code]


def public_docstrings() -> Iterator[tuple[str, str]]:
    """Every public name, and the public methods of the two that one asks."""
    for name in latentvlm.__all__:
        value = getattr(latentvlm, name)
        if name == "__version__":
            continue
        yield name, inspect.getdoc(value) or ""
        if name == "VLM":
            for key, _ in inspect.getmembers(value):
                if not key.startswith("_") and callable(getattr(value, key)):
                    yield f"VLM.{key}", inspect.getdoc(getattr(value, key)) or ""


def write_files(folder: Path, repository: Path) -> None:
    """What the examples open: the sample pages, a clip, and a small model that sees videos."""
    shutil.copytree(repository / "data" / "samples", folder, dirs_exist_ok=True)
    write_clip(folder / "clip.mp4", 8)
    config = replace(tiny_config(), video_token_id=400)
    write_tiny_model(folder / "my-model", config=config)


def names_in(code: str) -> set[str]:
    """Every attribute of `latentvlm` that an example uses."""
    return {
        node.attr
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "latentvlm"
    }
