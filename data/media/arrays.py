"""Arrays and tensors to RGB: numpy as (height, width[, channels]), torch as channels first."""

import numpy as np
import torch
from PIL import Image

from ...errors import MediaError
from .to_rgb import on_white, scale_uint16
from .types import MediaLimits, check_pixels

# Resizing with a cubic filter overshoots a little; such values are cut, larger ones refused.
_OVERSHOOT = 0.01


def array_to_rgb(array: np.ndarray, *, name: str, limits: MediaLimits) -> Image.Image:
    """One picture from numbers.

    Args:
        array: (height, width), or (height, width, channels) with 1, 3 (RGB) or 4 (RGBA)
            channels; bool, uint8, uint16, or floats from 0 to 1.
        name: what errors call it.
        limits: sizes that are accepted.

    Raises:
        MediaError: another shape or type, no pixels, NaN, or floats outside 0 to 1.
    """
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        if array.ndim == 3 and array.shape[0] in (1, 3):
            hint = "channels come last: use array.transpose(1, 2, 0)"
        elif array.ndim == 4:
            hint = "hand several pictures over one by one"
        else:
            hint = "use (height, width) or (height, width, 1, 3 or 4)"
        raise MediaError(f"{name} of shape {array.shape} is not a picture; {hint}.")
    check_pixels(array.shape[1], array.shape[0], name=name, limits=limits)
    pixels = _to_uint8(array, name)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return on_white(image) if image.mode == "RGBA" else image.convert("RGB")


def tensor_to_rgb(tensor: torch.Tensor, *, name: str, limits: MediaLimits) -> Image.Image:
    """One picture from a (height, width) or (1, 3 or 4, height, width) tensor, on any device.

    Raises:
        MediaError: as `array_to_rgb`.
    """
    if tensor.ndim not in (2, 3) or (tensor.ndim == 3 and tensor.shape[0] not in (1, 3, 4)):
        raise MediaError(
            f"{name} of shape {tuple(tensor.shape)} is not a picture; use (height, width) or "
            "(1, 3 or 4, height, width)."
        )
    check_pixels(int(tensor.shape[-1]), int(tensor.shape[-2]), name=name, limits=limits)
    values = tensor.detach()
    values = (values.float() if values.is_floating_point() else values).cpu().numpy()
    if values.ndim == 3:
        values = values.transpose(1, 2, 0)
    return array_to_rgb(values, name=name, limits=limits)


def _to_uint8(array: np.ndarray, name: str) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.uint16:
        return scale_uint16(array)
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * 255
    if not np.issubdtype(array.dtype, np.floating):
        raise MediaError(
            f"{name} holds {array.dtype} values; use uint8, uint16, bool, or floats from 0 to 1."
        )
    low, high = float(array.min()), float(array.max())
    if np.isnan(low) or np.isnan(high):
        raise MediaError(f"{name} holds NaN values, so it is not a picture.")
    if low < -_OVERSHOOT or high > 1 + _OVERSHOOT:
        raise MediaError(
            f"{name} holds floats from {low:g} to {high:g} where 0 to 1 is meant; "
            "scale them, or use uint8 for 0 to 255."
        )
    return np.round(np.clip(array, 0, 1) * 255).astype(np.uint8)
