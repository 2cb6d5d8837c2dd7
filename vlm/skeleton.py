"""A model without its weights: every module, name and shape on the meta device, within moments."""

from typing import Any

import torch
from torch import Tensor, nn
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
# Slow elsewhere too, and for nothing: towers of libraries are made on the CPU.
_RANDOM = frozenset(["normal_", "uniform_", "erfinv_"])


class _ShapesOnly(TorchFunctionMode):
    """Hands back a tensor of the meta device in place of what initialisers make of it."""

    def __torch_function__(self, func, types, args=(), kwargs=None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "").strip("_") in _KEEP_SHAPE:
            tensor = args[0] if args else kwargs.get("tensor")
            is_random = getattr(func, "__name__", "") in _RANDOM
            if isinstance(tensor, Tensor) and (tensor.is_meta or is_random):
                return tensor
        if func is torch.arange and torch.device(kwargs.get("device") or "meta").type == "meta":
            return torch.empty(len(range(*args)), device="meta")
        return func(*args, **kwargs)


def skeleton(config: VisionLanguageConfig | LanguageConfig) -> VisionLanguageModel | LanguageModel:
    """The model of a configuration on the meta device, whatever its size.

    The tower of a library is on the CPU, with whatever its memory held for weights.
    """
    with torch.device("meta"), _ShapesOnly():
        if isinstance(config, VisionLanguageConfig):
            return VisionLanguageModel(config)
        return LanguageModel(config)


@torch.no_grad()
def settle_constants(tower: nn.Module, device: torch.device) -> None:
    """Put what a tower computes once and never stores beside its weights, in their number format.

    `load_state_dict(assign=True)` puts the weights of a skeleton in place, and nothing else.
    """
    dtype = next(tower.parameters()).dtype
    for module in tower.modules():
        for name in module._non_persistent_buffers_set:
            buffer = module._buffers[name]
            if buffer is not None:
                is_float = buffer.is_floating_point()
                module._buffers[name] = buffer.to(device, dtype if is_float else buffer.dtype)
