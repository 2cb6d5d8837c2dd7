"""Synthetic documents: pictures of text whose every character and answer is known.

Start with `generate.py`; `documents/` holds one kind of document a file.
"""

from .config import GeneratorConfig
from .document import QA, Document
from .generate import generate
from .text import CHARSET

__all__ = ["CHARSET", "Document", "GeneratorConfig", "QA", "generate"]
