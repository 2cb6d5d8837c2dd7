"""Functions out of the files of a kit that is not installed."""

import __future__

import ast
import importlib
import json
import math
import random
import re
import string
import sys
import types
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np


class Guess(Exception):
    """The kit drew an answer at random."""


class SpiedRandom(random.Random):
    def choice(self, seq: Any) -> Any:
        super().choice(seq)
        raise Guess


def taken(path: Path, **known: Any) -> types.SimpleNamespace:
    """The functions and classes of a kit's file, without what its imports and actions would do."""
    names: dict[str, Any] = {"re": re, "np": np, "string": string, "math": math, "ast": ast}
    names |= {"Any": Any, "random": SpiedRandom(42), "json": json, **known}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            node.decorator_list = []
        elif not isinstance(node, ast.ClassDef) and "VERBOSE_ANSWER" not in ast.unparse(node):
            continue
        code = compile(
            ast.Module(body=[node], type_ignores=[]),
            str(path),
            "exec",
            flags=__future__.annotations.compiler_flag,
        )
        # What needs a package that is not here is none of what is asked for.
        with suppress(NameError):
            exec(code, names)
    return types.SimpleNamespace(**names)


def as_package(root: Path, package: str) -> Callable[[str], Any]:
    """Import a kit's modules without running the `__init__` files above them."""
    folder = root
    for part in package.split("."):
        folder /= part
        name = ".".join(folder.relative_to(root).parts)
        module = types.ModuleType(name)
        module.__path__ = [str(folder)]
        sys.modules[name] = module
    sys.modules.setdefault("ipdb", types.ModuleType("ipdb"))
    return lambda name: importlib.import_module(f"{package}.{name}")
