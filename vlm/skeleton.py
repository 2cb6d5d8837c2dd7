"""A model without its weights: every module, name and shape on the meta device, within moments."""

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from .config import LanguageConfig, VisionLanguageConfig
from .language_model import LanguageModel
from .model import VisionLanguageModel

# What initialisers do to a tensor: none of it changes a shape. On the meta device PyTorch would
# work out each one in Python, and import its compiler to do so, which takes seconds.
_KEEP_SHAPE = frozenset(
    ["normal", "uniform", "kaiming_uniform", "erfinv", "fill", "zero", "copy", "clamp", "clamp_min"]
    + ["mul", "add", "neg", "exp", "expm1", "log"]
)


class _ShapesOnly(TorchFunctionMode):
    """Hands back a tensor of the meta device in place of what initialisers make of it."""

    def __torch_function__(self, func, types, args=(), kwargs=None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "").strip("_") in _KEEP_SHAPE:
            tensor = args[0] if args else kwargs.get("tensor")
            if isinstance(tensor, Tensor) and tensor.is_meta:
                return tensor
        if func is torch.arange:
            return torch.empty(len(range(*args)), device="meta")
        return func(*args, **kwargs)


def skeleton(config: VisionLanguageConfig | LanguageConfig) -> VisionLanguageModel | LanguageModel:
    """The model of a configuration on the meta device, whatever its size."""
    with torch.device("meta"), _ShapesOnly():
        if isinstance(config, VisionLanguageConfig):
            return VisionLanguageModel(config)
        return LanguageModel(config)
