"""Numbers of an answer in JSON that come to an end: a schema with bounds where it has none.

JSON allows any number of digits, and a model that is unsure of a number may write them until its
answer is cut off. What is written still follows the schema as it was given.
"""

from collections.abc import Mapping
from typing import Any

_LARGEST = 10**15  # of those that float64 tells apart from their neighbours
_DECIMALS = 1e-9
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
# These hold values, not schemas.
_VALUES = ("enum", "const", "default", "examples")


def with_bounds(schema: Any) -> Any:
    """The same schema, whose numbers have at most 15 digits before and 9 after the point."""
    if isinstance(schema, list):
        return [with_bounds(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    found = {key: value if key in _VALUES else with_bounds(value) for key, value in schema.items()}
    kinds = schema.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    is_number = "number" in kinds or "integer" in kinds
    if not is_number or "enum" in schema or "const" in schema:
        return found
    if not any(key in schema for key in _BOUNDS):
        found |= {"minimum": -_LARGEST, "maximum": _LARGEST}
    if "number" in kinds:
        found.setdefault("multipleOf", _DECIMALS)
    return found
