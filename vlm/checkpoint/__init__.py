"""Reading and writing checkpoint folders, one family a file."""

from .bits import bits_on_disk
from .load import load_config, load_model
from .quantized import Quantized
from .save import save_model

__all__ = ["Quantized", "bits_on_disk", "load_config", "load_model", "save_model"]
