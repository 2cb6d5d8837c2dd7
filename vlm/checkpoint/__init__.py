"""Reading and writing checkpoint folders, one family a file."""

from .load import load_config, load_model
from .save import save_model

__all__ = ["load_config", "load_model", "save_model"]
