"""The recipe that an export's own record holds, for another export by the same table."""

from pathlib import Path

from ...data.processor_files import read_json
from ..quantize.recipes import Recipe, recipe_from_values
from .layouts import LAYOUTS, Layout
from .writer import RECORD_FILE


def recorded_recipe(folder: str | Path) -> tuple[Recipe, Layout] | None:
    """The recipe and layout of an export, which `auto` may have found; None if it is none.

    Raises:
        CheckpointError: the record cannot be read.
        ConfigError: it holds no recipe.
    """
    path = Path(folder).expanduser() / RECORD_FILE
    if not path.is_file():
        return None
    values = read_json(path)
    return recipe_from_values(values.get("recipe"), str(path)), values.get("layout", LAYOUTS[0])
