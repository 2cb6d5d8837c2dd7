"""Synthetic documents: pictures of text whose every character and answer is known.

Start with `generate.py`; `templates.py` lists the kinds of document.
"""

from .booklet import Booklet, PageQA, draw_booklet
from .config import GeneratorConfig
from .document import QA, Document
from .generate import blank, generate, redraw
from .text import CHARSET

__all__ = [
    "CHARSET",
    "QA",
    "Booklet",
    "Document",
    "GeneratorConfig",
    "PageQA",
    "blank",
    "draw_booklet",
    "generate",
    "redraw",
]
