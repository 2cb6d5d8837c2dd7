"""Python values written in a reply: lists of boxes, mappings of keys and values."""

import ast
import warnings
from typing import Any


def read_literal(text: str) -> Any:
    """The value that a text writes as a Python literal; nothing is ever run.

    Raises:
        ValueError: it is no literal.
    """
    with warnings.catch_warnings():
        # Python warns of "3and" and the like in what it then refuses.
        warnings.simplefilter("ignore", SyntaxWarning)
        try:
            return ast.literal_eval(text)
        except (SyntaxError, TypeError, MemoryError, RecursionError) as error:
            raise ValueError(f"no Python literal: {error}") from error
